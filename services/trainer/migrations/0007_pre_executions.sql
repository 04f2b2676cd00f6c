-- Runs can be cancelled. Executions are what Step Functions shows of runs: one for each run, and one for each
-- StartExecution that joined a queued run.
ALTER TABLE runs DROP CONSTRAINT runs_status_check;
ALTER TABLE runs ADD CONSTRAINT runs_status_check
    CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled'));
ALTER TABLE steps DROP CONSTRAINT steps_status_check;
ALTER TABLE steps ADD CONSTRAINT steps_status_check
    CHECK (status IN ('pending', 'running', 'done', 'skipped', 'failed', 'cancelled'));

CREATE TABLE executions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    name text NOT NULL,
    machine text, -- the name that the caller had for the state machine; the tenant's own name without one
    input text NOT NULL DEFAULT '{}',
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stopped_at timestamptz, -- of an execution that was stopped
    error text,
    cause text,
    UNIQUE (tenant, name)
);
CREATE INDEX executions_of_run ON executions (run);
INSERT INTO executions (tenant, name, run, started_at)
SELECT tenant, 'run-' || run, run, created_at FROM runs ORDER BY run;

-- Executions with their state: that of the run, unless the execution was stopped.
CREATE VIEW execution_states AS
SELECT e.id, e.tenant, e.name, e.machine, e.input, e.run, e.started_at, r.reasons,
       CASE
           WHEN e.stopped_at IS NOT NULL OR r.status = 'cancelled' THEN 'ABORTED'
           WHEN r.status = 'completed' THEN 'SUCCEEDED'
           WHEN r.status = 'failed' THEN 'FAILED'
           ELSE 'RUNNING'
       END AS status,
       coalesce(e.stopped_at, r.finished_at) AS stopped_at,
       coalesce(e.error, (SELECT s.name FROM steps s WHERE s.run = r.run AND s.status = 'failed')) AS error,
       coalesce(e.cause, r.error) AS cause
FROM executions e
JOIN runs r USING (run);
