-- The tables of the event lake, so that maintenance knows which have changed.
CREATE TABLE lake_tables (
    tenant text NOT NULL,
    name text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    maintained_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, name)
);
