-- Units that were exposed in a window of time of a switchback, numbered from 1970.
CREATE TABLE window_exposures (
    tenant text NOT NULL,
    experiment text NOT NULL,
    version int NOT NULL,
    number bigint NOT NULL,
    unit text NOT NULL,
    variant text NOT NULL,
    first_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, experiment, version, number, unit)
);
CREATE INDEX window_exposures_by_unit ON window_exposures (tenant, unit);
