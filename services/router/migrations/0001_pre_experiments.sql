-- Experiments, who was exposed to them, and what those did.

-- A version never changes but for its status: another traffic, strategy or weight is another version.
CREATE TABLE experiments (
    tenant text NOT NULL,
    name text NOT NULL,
    version int NOT NULL CHECK (version > 0),
    surface text NOT NULL,
    traffic double precision NOT NULL CHECK (traffic > 0 AND traffic <= 1),
    salt text NOT NULL,
    variants jsonb NOT NULL,
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'running', 'stopped')),
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    stopped_at timestamptz,
    PRIMARY KEY (tenant, name, version),
    CHECK ((status = 'draft') = (started_at IS NULL)),
    CHECK ((status = 'stopped') = (stopped_at IS NOT NULL))
);
CREATE UNIQUE INDEX one_running_per_surface ON experiments (tenant, surface) WHERE status = 'running';
CREATE UNIQUE INDEX one_running_version ON experiments (tenant, name) WHERE status = 'running';

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.surface, OLD.traffic, OLD.salt, OLD.variants)
        IS DISTINCT FROM (NEW.surface, NEW.traffic, NEW.salt, NEW.variants) THEN
        RAISE EXCEPTION 'a version of an experiment never changes; add another one';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER versions_are_immutable BEFORE UPDATE ON experiments
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- One row per unit: the first exposure counts. `variants_seen` above 1 would say that assignment is broken.
CREATE TABLE exposed_units (
    tenant text NOT NULL,
    experiment text NOT NULL,
    version int NOT NULL,
    unit text NOT NULL,
    variant text NOT NULL,
    first_at timestamptz NOT NULL,
    mixed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant, experiment, version, unit)
);

-- What units did that an experiment may have been shown to, each event once. Exposures may arrive later
-- than what followed them, so the two are brought together when results are asked for.
CREATE TABLE outcomes (
    tenant text NOT NULL,
    experiment text NOT NULL,
    version int NOT NULL,
    event_id text NOT NULL,
    unit text NOT NULL,
    event_type text NOT NULL,
    value double precision,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, experiment, version, event_id)
);
CREATE INDEX outcomes_by_unit ON outcomes (tenant, experiment, version, unit);
