-- Users whose rows are to leave the files of runs: as soon as no run that began before is at work any more.
CREATE TABLE erasures (
    tenant text NOT NULL,
    user_id text NOT NULL,
    erasure_id text NOT NULL,
    requested_at timestamptz NOT NULL,
    request jsonb NOT NULL,
    PRIMARY KEY (tenant, user_id, erasure_id)
);
