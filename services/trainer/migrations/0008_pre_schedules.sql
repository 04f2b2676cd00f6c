-- Schedules of tenants. A run is requested, and the next time set, in one transaction that holds the row: of several
-- workers one requests the run of a time, and times that were missed together are one run.
CREATE TABLE schedules (
    tenant text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('full', 'incremental', 'vip')),
    cron text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    enabled boolean NOT NULL DEFAULT true,
    from_settings boolean NOT NULL DEFAULT false, -- the default schedule, which follows TRAINER_SCHEDULE
    next_due timestamptz NOT NULL,
    last_due timestamptz, -- the newest time that was due, and its run unless there was nothing to train
    last_run bigint,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, name)
);
CREATE INDEX schedules_due ON schedules (next_due) WHERE enabled;
