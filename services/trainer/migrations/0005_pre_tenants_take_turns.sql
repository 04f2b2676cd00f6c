-- Tenants take turns at the workers: a job says whose it is, and when it was claimed last.
ALTER TABLE jobs
    ADD COLUMN tenant text NOT NULL DEFAULT '',
    ADD COLUMN claimed_at timestamptz;
CREATE INDEX jobs_by_tenant ON jobs (tenant, claimed_at);
UPDATE jobs SET tenant = runs.tenant FROM runs
WHERE runs.run::text = jobs.key AND jobs.status IN ('queued', 'running');

-- Rows that Kafka refused for what they are, with its reason; they wait for a person.
CREATE TABLE outbox_set_aside (
    seq bigint PRIMARY KEY,
    id text NOT NULL,
    aggregatetype text NOT NULL,
    aggregateid text NOT NULL,
    type text NOT NULL,
    payload json,
    tenant text NOT NULL,
    headers jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    reason text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT now()
);
