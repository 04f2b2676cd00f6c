-- enqueue --
-- Add a job, unless one of this kind and key exists, and notify the workers when it is committed.
INSERT INTO jobs (kind, key, payload, tenant) VALUES (:kind, :key, :payload, :tenant)
ON CONFLICT (kind, key) DO NOTHING
RETURNING id, pg_notify(current_schema(), 'jobs');

-- next_due --
-- The seconds until the next job is due, or a lease expires, of tenants that are not in `full`; null for none.
SELECT extract(epoch FROM min(CASE status WHEN 'queued' THEN run_after ELSE lease_until END) - now())::float8
FROM jobs
WHERE kind = ANY(:kinds::text[]) AND tenant <> ALL(:full::text[]) AND status IN ('queued', 'running');

-- claim --
-- Claim a job that is due or whose lease has expired. Of the tenants that have one and are not in `full` choose the
-- one with the fewest running jobs, then the one whose last claim is oldest; of its jobs the oldest.
WITH due AS MATERIALIZED (
    SELECT id, tenant FROM jobs
    WHERE kind = ANY(:kinds::text[])
      AND tenant <> ALL(:full::text[])
      AND ((status = 'queued' AND run_after <= now()) OR (status = 'running' AND lease_until < now()))
), turns AS MATERIALIZED (
    SELECT tenant,
        (
            SELECT count(*) FROM jobs AS busy
            WHERE busy.tenant = waiting.tenant AND busy.kind = ANY(:kinds::text[])
              AND busy.status = 'running' AND busy.lease_until >= now()
        ) AS running,
        (SELECT max(claimed_at) FROM jobs AS served WHERE served.tenant = waiting.tenant) AS served_at
    FROM (SELECT DISTINCT tenant FROM due) AS waiting
)
UPDATE jobs
SET status = 'running', attempts = attempts + 1, owner = :owner, claimed_at = now(),
    lease_until = now() + make_interval(secs => :lease),
    -- A claim may have waited for the transaction that ended the job before it.
    started_at = coalesce(started_at, clock_timestamp()), error = NULL
WHERE id = (
    SELECT jobs.id
    FROM jobs
    JOIN due USING (id)
    JOIN turns ON turns.tenant = due.tenant
    -- Checked again when the row is locked.
    WHERE (jobs.status = 'queued' AND jobs.run_after <= now())
       OR (jobs.status = 'running' AND jobs.lease_until < now())
    ORDER BY turns.running, turns.served_at NULLS FIRST, jobs.id
    FOR UPDATE OF jobs SKIP LOCKED
    LIMIT 1
)
RETURNING id, kind, key, payload, attempts, progress, retries, tenant,
          extract(epoch FROM now() - retrying_since)::float8 AS retried;

-- heartbeat --
-- Renew the lease of a job, if `owner` still holds it.
UPDATE jobs SET lease_until = now() + make_interval(secs => :lease)
WHERE id = :id AND owner = :owner AND status = 'running';

-- report --
-- Store the progress of a job, if `owner` still holds its lease.
UPDATE jobs SET progress = :progress WHERE id = :id AND owner = :owner AND status = 'running';

-- finish --
-- Set a job to done.
UPDATE jobs SET status = 'done', lease_until = NULL, finished_at = now()
WHERE id = :id AND owner = :owner AND status = 'running';

-- retry --
-- Queue a job for a retry; `new_series` starts the time of its retries anew.
UPDATE jobs
SET status = 'queued', lease_until = NULL, owner = NULL, error = :error, retries = retries + 1,
    retrying_since = CASE WHEN :new_series THEN now() ELSE coalesce(retrying_since, now()) END,
    run_after = now() + make_interval(secs => :delay)
WHERE id = :id AND owner = :owner AND status = 'running';

-- release --
-- Queue the job of a worker that stops, without counting the attempt, and notify other workers.
UPDATE jobs
SET status = 'queued', lease_until = NULL, owner = NULL, attempts = attempts - 1, run_after = now()
WHERE id = :id AND owner = :owner AND status = 'running'
RETURNING pg_notify(current_schema(), 'jobs');

-- fail --
-- Set a job to failed.
UPDATE jobs SET status = 'failed', lease_until = NULL, finished_at = now(), error = :error
WHERE id = :id AND owner = :owner AND status = 'running';

-- job --
-- A job with its progress.
SELECT id, kind, key, payload, status, attempts, progress, error, created_at, started_at, finished_at
FROM jobs WHERE kind = :kind AND key = :key;
