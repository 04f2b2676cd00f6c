-- The table that `shared/jobs` works on. Each service that has jobs copies this into its first migration.
CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    tenant text NOT NULL DEFAULT '', -- whose job it is: tenants take turns
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    retries int NOT NULL DEFAULT 0, -- attempts that ended because something was away
    retrying_since timestamptz,     -- when the first of them ended, in a row
    run_after timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    owner text,
    claimed_at timestamptz,          -- when a worker took it last
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
