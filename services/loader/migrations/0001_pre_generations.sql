-- Generations of recommendations, their lists, and which of them are active.

CREATE TABLE generations (
    generation bigint PRIMARY KEY,
    tenant text NOT NULL,
    status text NOT NULL CHECK (
        status IN ('queued', 'loading', 'loaded', 'refused', 'failed', 'dropping', 'dropped')
    ),
    reason text,
    bucket text,
    manifest text,
    loads int NOT NULL DEFAULT 1,
    rows bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    started_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    loaded_at timestamptz
);
CREATE INDEX generations_by_tenant ON generations (tenant, generation DESC);

CREATE TABLE generation_recipes (
    generation bigint NOT NULL REFERENCES generations ON DELETE CASCADE,
    recipe text NOT NULL,
    rows bigint NOT NULL,
    rejected bigint NOT NULL,
    engine_recipe text,
    job_name text,
    job_arn text,
    started_at timestamptz,
    completed_at timestamptz,
    PRIMARY KEY (generation, recipe)
);

-- Lines of batch output that could not be used, each with its place and the reason.
CREATE TABLE rejects (
    generation bigint NOT NULL REFERENCES generations ON DELETE CASCADE,
    recipe text NOT NULL,
    file text NOT NULL,
    line bigint NOT NULL,
    reason text NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (generation, file, line)
);

-- One partition per generation: filled beside, attached when it is complete, dropped whole.
CREATE TABLE lists (
    tenant text NOT NULL,
    generation bigint NOT NULL,
    recipe text NOT NULL,
    id text NOT NULL,
    items jsonb NOT NULL,
    PRIMARY KEY (generation, recipe, id)
) PARTITION BY LIST (generation);
COMMENT ON COLUMN lists.items IS '[[item id, score], ...], best first';

CREATE TABLE activations (
    tenant text NOT NULL,
    activation bigint NOT NULL,
    generation bigint NOT NULL REFERENCES generations,
    cause text NOT NULL CHECK (cause IN ('load', 'request')),
    generations jsonb NOT NULL,
    activated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, activation)
);

CREATE TABLE active (
    tenant text NOT NULL,
    recipe text NOT NULL,
    generation bigint NOT NULL REFERENCES generations,
    activation bigint NOT NULL,
    activated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, recipe)
);

-- A table of the same shape that a load fills; the attempt is in its name, so that a worker which was
-- believed dead can't write into the table of its successor.
CREATE FUNCTION make_staging(tenant text, generation bigint, attempt bigint) RETURNS text
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    staging text := format('lists_%s_%s', generation, attempt);
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS loader.%I', staging);
    -- The checks spare ATTACH its scan of the whole table.
    EXECUTE format(
        'CREATE TABLE loader.%I (LIKE loader.lists, CHECK (generation = %s), CHECK (tenant = %L))',
        staging, generation, tenant
    );
    RETURN staging;
END $$;

-- The index is built after the rows are in, which takes a fifth of the time.
CREATE FUNCTION index_staging(staging text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE loader.%I ADD PRIMARY KEY (generation, recipe, id)', staging);
    EXECUTE format('ANALYZE loader.%I', staging);
END $$;

CREATE FUNCTION attach_staging(staging text, generation bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    partition text := format('lists_%s', generation);
BEGIN
    EXECUTE format('ALTER TABLE loader.%I RENAME TO %I', staging, partition);
    EXECUTE format(
        'ALTER TABLE loader.lists ATTACH PARTITION loader.%I FOR VALUES IN (%s)',
        partition, generation
    );
END $$;

-- A worker that is stopped but not dead may still hold its table: the next round tries again.
CREATE FUNCTION drop_detached(detached text) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS loader.%I', detached);
END $$;

-- Contracts with the recommender. Only generations that can be served have a partition.
CREATE VIEW lists_v1 AS SELECT tenant, generation, recipe, id, items FROM lists;
CREATE VIEW active_v1 AS SELECT tenant, recipe, generation, activation, activated_at FROM active;
GRANT USAGE ON SCHEMA loader TO recommender;
GRANT SELECT ON lists_v1, active_v1 TO recommender;
