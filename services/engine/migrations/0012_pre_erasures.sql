-- Users whose erasure was requested of every service, by the deletion job that requested it.
CREATE TABLE erasures (
    job bigint NOT NULL,
    tenant text NOT NULL,
    user_id text NOT NULL,
    requested_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (job, user_id)
);
CREATE INDEX erasures_of_user ON erasures (tenant, user_id);

-- What each service has confirmed; the first confirmation counts.
CREATE TABLE erasure_receipts (
    job bigint NOT NULL,
    user_id text NOT NULL,
    service text NOT NULL,
    rows jsonb NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (job, user_id, service)
);
