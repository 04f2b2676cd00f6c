-- Runs and their steps, who asked for them, and what the schedule has already asked for.

-- One sequence for the installation: a run's number is the generation that its lists become.
CREATE SEQUENCE run_numbers;

CREATE TABLE runs (
    run bigint PRIMARY KEY,
    tenant text NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'completed', 'failed')),
    reasons text[] NOT NULL,
    -- The imports whose rows the run must see.
    imports text[] NOT NULL DEFAULT '{}',
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    files_removed_at timestamptz
);
CREATE INDEX runs_by_tenant ON runs (tenant, run DESC);
-- One run of a tenant is queued and one is running, at the most.
CREATE UNIQUE INDEX runs_queued ON runs (tenant) WHERE status = 'queued';
CREATE UNIQUE INDEX runs_running ON runs (tenant) WHERE status = 'running';

CREATE TABLE steps (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    position int NOT NULL,
    name text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (
        status IN ('pending', 'running', 'done', 'skipped', 'failed')
    ),
    progress double precision NOT NULL DEFAULT 0,
    detail jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (run, position),
    UNIQUE (run, name)
);

-- Requests that were taken, so that one which comes again does nothing.
CREATE TABLE requests (
    event_id text PRIMARY KEY,
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    received_at timestamptz NOT NULL DEFAULT now()
);

-- A scheduled time of a tenant, taken by whichever worker was first.
CREATE TABLE scheduled (
    tenant text NOT NULL,
    due timestamptz NOT NULL,
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    PRIMARY KEY (tenant, due)
);
