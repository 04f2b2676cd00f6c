-- The quality of lists: figures of each generation and recipe, and coverage by day. Without ids of users.

CREATE TABLE list_quality (
    generation bigint NOT NULL,
    recipe text NOT NULL,
    previous bigint,                -- the generation that lists were compared with
    lists bigint NOT NULL,
    empty bigint NOT NULL,
    listed_items bigint NOT NULL,
    catalogue_items bigint NOT NULL,
    gini double precision,
    popularity_lift double precision,
    compared bigint NOT NULL,       -- lists whose id had one in the previous generation too
    changed_share double precision,
    rank_overlap double precision,
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (generation, recipe),
    FOREIGN KEY (generation, recipe) REFERENCES generation_recipes ON DELETE CASCADE
);

-- The newest count of each day.
CREATE TABLE coverage (
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('users', 'items')),
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    known bigint NOT NULL,
    listed bigint NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, kind, day)
);
