-- Kinds of runs, with their options; runs that exceed their budget of time.
ALTER TABLE runs
    ADD COLUMN kind text NOT NULL DEFAULT 'full' CHECK (kind IN ('full', 'incremental', 'vip')),
    ADD COLUMN options jsonb NOT NULL DEFAULT '{}';
ALTER TABLE schedules ADD COLUMN options jsonb NOT NULL DEFAULT '{}';
ALTER TABLE runs DROP CONSTRAINT runs_status_check;
ALTER TABLE runs ADD CONSTRAINT runs_status_check
    CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'timed_out'));

CREATE OR REPLACE VIEW execution_states AS
SELECT e.id, e.tenant, e.name, e.machine, e.input, e.run, e.started_at, r.reasons,
       CASE
           WHEN e.stopped_at IS NOT NULL OR r.status = 'cancelled' THEN 'ABORTED'
           WHEN r.status = 'completed' THEN 'SUCCEEDED'
           WHEN r.status = 'failed' THEN 'FAILED'
           WHEN r.status = 'timed_out' THEN 'TIMED_OUT'
           ELSE 'RUNNING'
       END AS status,
       coalesce(e.stopped_at, r.finished_at) AS stopped_at,
       coalesce(
           e.error, (SELECT s.name FROM steps s WHERE s.run = r.run AND s.status = 'failed'),
           CASE r.status WHEN 'timed_out' THEN 'States.Timeout' END
       ) AS error,
       coalesce(e.cause, r.error) AS cause
FROM executions e
JOIN runs r USING (run);
