-- The table of `shared/jobs`, in the schema of the service whose migration includes this file.
CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    tenant text NOT NULL DEFAULT '', -- the tenant that the job belongs to: tenants take turns
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    retries int NOT NULL DEFAULT 0, -- attempts that ended because a dependency was unavailable
    retrying_since timestamptz,     -- when the first of the current series of them ended
    run_after timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    owner text,
    claimed_at timestamptz,          -- when a worker claimed it last
    progress jsonb NOT NULL DEFAULT '{}',
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    UNIQUE (kind, key),
    CHECK ((status = 'running') = (lease_until IS NOT NULL))
);
CREATE INDEX jobs_due ON jobs (run_after) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_by_tenant ON jobs (tenant, claimed_at);
