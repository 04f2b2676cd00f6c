-- An execution may have an import, for which its run waits; one whose import failed has failed, whatever its run does.
ALTER TABLE executions
    ADD COLUMN import_id text,
    ADD COLUMN failed boolean NOT NULL DEFAULT false;
CREATE INDEX executions_with_imports ON executions (run) WHERE import_id IS NOT NULL;

CREATE OR REPLACE VIEW execution_states AS
SELECT e.id, e.tenant, e.name, e.machine, e.input, e.run, e.started_at, r.reasons,
       CASE
           WHEN e.failed THEN 'FAILED'
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
