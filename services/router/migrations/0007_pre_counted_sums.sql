-- Sums of metrics as the monitor has counted them, the last ones of each day: results of a large experiment need not
-- be counted while somebody waits, and their course can be shown. They name no unit.
CREATE TABLE counted_sums (
    tenant text NOT NULL,
    name text NOT NULL,
    phase int NOT NULL,
    day date NOT NULL,
    counted_at timestamptz NOT NULL,
    seconds double precision NOT NULL,
    pre_days int NOT NULL,
    metrics jsonb NOT NULL,
    sums jsonb NOT NULL,
    PRIMARY KEY (tenant, name, phase, day)
);

-- The results that were known when a version was decided.
CREATE TABLE decided_results (
    tenant text NOT NULL,
    name text NOT NULL,
    version int NOT NULL,
    results jsonb NOT NULL,
    PRIMARY KEY (tenant, name, version)
);
