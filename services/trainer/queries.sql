-- lock_tenant --
-- Runs of a tenant are asked for, begun and ended one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('trainer.runs:' || :tenant, 0));

-- request --
-- The run that an event has asked for already.
SELECT run FROM requests WHERE event_id = :event_id;

-- add_request --
-- Remember which run an event has asked for.
INSERT INTO requests (event_id, run) VALUES (:event_id, :run) ON CONFLICT (event_id) DO NOTHING;

-- join_queued --
-- A run that has not begun takes one more reason.
UPDATE runs
SET reasons = CASE WHEN :reason = ANY (reasons) THEN reasons ELSE reasons || :reason::text END,
    imports = CASE
        WHEN :import_id::text IS NULL OR :import_id = ANY (imports) THEN imports
        ELSE imports || :import_id::text
    END
WHERE tenant = :tenant AND status = 'queued'
RETURNING run;

-- add_run --
-- A new run, under the installation's next number.
INSERT INTO runs (run, tenant, reasons, imports)
VALUES (
    nextval('run_numbers'), :tenant, ARRAY[:reason::text],
    CASE WHEN :import_id::text IS NULL THEN '{}' ELSE ARRAY[:import_id::text] END
)
RETURNING run;

-- add_steps --
-- The steps of a run, in their order.
INSERT INTO steps (run, position, name)
SELECT :run, position, name FROM unnest(:names::text[]) WITH ORDINALITY AS listed (name, position);

-- next_to_start --
-- The tenant's queued run, when none is running.
SELECT run FROM runs
WHERE tenant = :tenant AND status = 'queued'
  AND NOT EXISTS (SELECT FROM runs WHERE tenant = :tenant AND status = 'running');

-- tenants_waiting --
-- Tenants with a queued run.
SELECT tenant FROM runs WHERE status = 'queued';

-- begin --
-- The run begins; nothing when another one of the tenant is running.
UPDATE runs SET status = 'running', started_at = now()
WHERE run = :run AND status = 'queued'
  AND NOT EXISTS (SELECT FROM runs other WHERE other.tenant = :tenant AND other.status = 'running');

-- run_to_do --
-- What a worker needs to know of a run.
SELECT run, tenant, status, imports, created_at, started_at FROM runs WHERE run = :run;

-- steps_of --
-- How far a run is.
SELECT name, status, detail FROM steps WHERE run = :run ORDER BY position;

-- begin_step --
-- A step begins, or begins again after its worker died.
UPDATE steps SET status = 'running', started_at = coalesce(started_at, now())
WHERE run = :run AND name = :name AND status IN ('pending', 'running')
RETURNING started_at;

-- report_step --
-- How far a step is, and what it must not do twice.
UPDATE steps SET progress = :progress, detail = detail || :detail
WHERE run = :run AND name = :name AND status = 'running';

-- end_step --
-- A step is done, or there was nothing to do.
UPDATE steps SET status = :status, progress = 1, finished_at = now()
WHERE run = :run AND name = :name AND status = 'running';

-- complete --
-- The run is done.
UPDATE runs SET status = 'completed', finished_at = now() WHERE run = :run AND status = 'running';

-- fail --
-- The run will not be done.
UPDATE runs SET status = 'failed', finished_at = now(), error = :error
WHERE run = :run AND status IN ('queued', 'running');

-- fail_step --
-- The step at which a run has ended.
UPDATE steps SET status = 'failed', finished_at = now()
WHERE run = :run AND status = 'running'
RETURNING name;

-- runs --
-- The tenant's newest runs, with their steps.
SELECT r.run AS id, r.run, r.status, r.reasons, r.error, r.created_at, r.started_at, r.finished_at,
       extract(epoch FROM coalesce(r.finished_at, now()) - r.started_at)::float8 AS seconds,
       (
           SELECT jsonb_agg(jsonb_build_object(
               'name', s.name, 'status', s.status, 'started_at', s.started_at,
               'finished_at', s.finished_at, 'progress', s.progress, 'detail', s.detail,
               'seconds', extract(epoch FROM coalesce(s.finished_at, now()) - s.started_at)::float8
           ) ORDER BY s.position)
           FROM steps s WHERE s.run = r.run
       ) AS steps
FROM runs r
WHERE r.tenant = :tenant AND r.run = coalesce(:run, r.run)
ORDER BY r.run DESC
LIMIT :limit;

-- tenants_with_data --
-- Tenants that have anything to learn from.
SELECT a.tenant FROM engine.accounts_v1 a
WHERE EXISTS (SELECT FROM tracker.interactions_v1 i WHERE i.tenant = a.tenant);

-- dataset_group --
-- The dataset group that a tenant is.
SELECT dataset_group_arn FROM engine.accounts_v1 WHERE tenant = :tenant;

-- schedule --
-- Take a scheduled time.
INSERT INTO scheduled (tenant, due, run) VALUES (:tenant, :due, :run)
ON CONFLICT (tenant, due) DO NOTHING;

-- is_scheduled --
-- Whether a scheduled time was taken.
SELECT EXISTS (SELECT FROM scheduled WHERE tenant = :tenant AND due = :due);

-- runs_to_clean --
-- Ended runs of which newer ones of the same tenant have made the files needless.
SELECT run, tenant FROM (
    SELECT run, tenant, status, files_removed_at,
           row_number() OVER (PARTITION BY tenant ORDER BY run DESC) AS place
    FROM runs WHERE status IN ('completed', 'failed')
) AS ended
WHERE place > :keep AND files_removed_at IS NULL
ORDER BY run;

-- files_removed --
-- A run's files are gone.
UPDATE runs SET files_removed_at = now() WHERE run = :run;

-- more_memory --
-- Let the sorts and hashes of a snapshot stay in memory, and its plans uncompiled. Every join of a snapshot reads
-- whole tables. Tables without statistics, as after a first import, count as empty: the planner would then compare
-- each row of one with each row of the other.
SELECT set_config('work_mem', '128MB', true), set_config('jit', 'off', true),
       set_config('enable_nestloop', 'off', true), set_config('statement_timeout', '0', true);

-- interactions_csv --
-- The training rows: one per user, item, second and type; a session is the user who first logged in to it, and does
-- not train before, and neither does a guest's order. Rows that are older than the bounds of intake may hold times and
-- values beyond them, which the import of this file would refuse. `real` refuses what is too small for it, too.
WITH logins AS MATERIALIZED (
    SELECT DISTINCT ON (session_id) session_id, user_id
    FROM tracker.interactions_v1
    WHERE tenant = :tenant AND user_id IS NOT NULL AND session_id IS NOT NULL
    ORDER BY session_id, occurred_at, event_id
)
SELECT coalesce(i.user_id, logins.user_id) AS "USER_ID", i.item_id AS "ITEM_ID",
       floor(extract(epoch FROM i.occurred_at))::bigint AS "TIMESTAMP", i.event_type AS "EVENT_TYPE",
       max(CASE WHEN abs(i.value) < 1e-37 THEN 0 WHEN abs(i.value) <= :largest THEN i.value END)::real
           AS "EVENT_VALUE"
FROM tracker.interactions_v1 i
LEFT JOIN logins ON i.user_id IS NULL AND logins.session_id = i.session_id
WHERE i.tenant = :tenant AND i.item_id IS NOT NULL AND i.event_type <> ALL (:excluded::text[])
  AND i.occurred_at >= :earliest AND i.occurred_at < :latest
  AND coalesce(i.user_id, logins.user_id) IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- left_out --
-- What of the same rows and of the catalogue is beyond the bounds of intake, and is left out.
SELECT count(*) FILTER (WHERE occurred_at < :earliest OR occurred_at >= :latest) AS interactions,
       count(value) FILTER (WHERE NOT abs(value) <= :largest) AS interaction_values,
       (
           SELECT count(price) FILTER (WHERE NOT abs(price) <= :largest)
           FROM sync.items_v1 WHERE tenant = :tenant
       ) AS item_prices,
       (
           SELECT count(*) FILTER (WHERE created_at < :earliest OR created_at >= :latest)
           FROM sync.items_v1 WHERE tenant = :tenant
       ) AS item_times
FROM tracker.interactions_v1
WHERE tenant = :tenant AND item_id IS NOT NULL AND event_type <> ALL (:excluded::text[]);

-- items_csv --
-- The catalogue; an item of unknown age counts as old as the first interaction.
SELECT item_id AS "ITEM_ID", nullif(left(name, 1000), '') AS "ITEM_NAME",
       nullif(left(category, 1000), '') AS "CATEGORY",
       CASE WHEN abs(price) < 1e-37 THEN 0 WHEN abs(price) <= :largest THEN price END::real AS "PRICE",
       floor(extract(epoch FROM coalesce(
           CASE WHEN created_at >= :earliest AND created_at < :latest THEN created_at END,
           (
               SELECT min(occurred_at) FROM tracker.interactions_v1
               WHERE tenant = :tenant AND occurred_at >= :earliest AND occurred_at < :latest
           ),
           updated_at
       )))::bigint AS "CREATION_TIMESTAMP"
FROM sync.items_v1
WHERE tenant = :tenant;

-- users_csv --
-- The customers.
SELECT user_id AS "USER_ID", nullif(left(city, 1000), '') AS "CITY",
       nullif(left(province, 1000), '') AS "PROVINCE", nullif(left(country, 1000), '') AS "COUNTRY"
FROM sync.users_v1
WHERE tenant = :tenant;

-- popularity_csv --
-- The best of each list by unique users: a user counts once for an item, where that was last, and half as
-- much after the half-life, which is counted from the newest interaction.
WITH visits AS MATERIALIZED (
    -- Any order will do, and that of the bytes is the fastest.
    SELECT DISTINCT ON (i.item_id COLLATE "C", coalesce(i.user_id, i.session_id) COLLATE "C")
           i.item_id, i.occurred_at, coalesce(i.country, u.country) AS country,
           coalesce(i.province, u.province) AS province, coalesce(i.city, u.city) AS city
    FROM tracker.interactions_v1 i
    LEFT JOIN sync.users_v1 u ON u.tenant = i.tenant AND u.user_id = i.user_id
    WHERE i.tenant = :tenant AND i.item_id IS NOT NULL AND i.event_type <> ALL (:excluded::text[])
      AND i.occurred_at >= :earliest AND i.occurred_at < :latest
    ORDER BY i.item_id COLLATE "C", coalesce(i.user_id, i.session_id) COLLATE "C", i.occurred_at DESC
),
weighted AS (
    SELECT v.item_id, v.country, v.province, v.city,
           -- What is a hundred half-lives old counts as such: exp() refuses to underflow.
           exp(-ln(2) * least(
               100,
               extract(epoch FROM (SELECT max(occurred_at) FROM visits) - v.occurred_at)::float8
                   / :half_life_seconds
           )) AS weight
    FROM visits v
),
summed AS (
    SELECT w.item_id, w.country, w.province, w.city, sum(w.weight) AS score,
           grouping(w.country, w.province, w.city) AS without
    FROM weighted w
    GROUP BY GROUPING SETS ((w.item_id), (w.item_id, w.country), (w.item_id, w.province), (w.item_id, w.city))
),
available AS (
    SELECT s.*, items.category
    FROM summed s
    LEFT JOIN sync.items_v1 items ON items.tenant = :tenant AND items.item_id = s.item_id
    WHERE items.available IS NOT FALSE
),
scored AS (
    -- A visit without a place belongs to no list of places: NULL in, NULL out.
    SELECT CASE without
               WHEN 7 THEN 'all'
               WHEN 3 THEN 'country:' || country
               WHEN 5 THEN 'province:' || province
               WHEN 6 THEN 'city:' || city
           END AS list, item_id, score
    FROM available
    UNION ALL
    SELECT 'category:' || category, item_id, score FROM available WHERE without = 7
)
SELECT list, item_id, round(score::numeric, 7) AS score FROM (
    SELECT list, item_id, score,
           row_number() OVER (PARTITION BY list ORDER BY score DESC, item_id) AS place
    FROM scored
    WHERE list IS NOT NULL AND length(list) <= 256
) AS ranked
WHERE place <= :length
ORDER BY list, place;

-- user_ids --
-- Whose lists the batch makes: known users, not guests.
SELECT DISTINCT user_id AS id FROM tracker.interactions_v1
WHERE tenant = :tenant AND item_id IS NOT NULL AND event_type <> ALL (:excluded::text[])
  AND user_id IS NOT NULL AND user_id NOT LIKE 'order:%';

-- item_ids --
-- The items that get lists: those with interactions, and those of the catalogue that can be bought.
SELECT item_id AS id FROM tracker.interactions_v1
WHERE tenant = :tenant AND item_id IS NOT NULL AND event_type <> ALL (:excluded::text[])
UNION
SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant AND available;

-- add_erasure --
-- The files of runs that began before a time are to go.
INSERT INTO erasures (tenant, user_id, erasure_id, requested_at, request)
VALUES (:tenant, :user_id, :erasure_id, :requested_at, :request)
ON CONFLICT DO NOTHING;

-- erasures_due --
-- Tenants with erasures that no run stands in the way of, and the newest time among these.
SELECT e.tenant, max(e.requested_at) AS requested_at
FROM erasures e
WHERE NOT EXISTS (
    SELECT FROM runs r
    WHERE r.tenant = e.tenant AND r.started_at <= e.requested_at AND r.files_removed_at IS NULL
      AND (r.status = 'running' OR r.finished_at > now() - make_interval(secs => :load_seconds::float8))
)
GROUP BY e.tenant;

-- runs_before --
-- Ended runs of a tenant that began before a time and have files.
SELECT run FROM runs
WHERE tenant = :tenant AND started_at <= :before AND status IN ('completed', 'failed')
  AND files_removed_at IS NULL
ORDER BY run;

-- end_erasures --
-- No file of a run that began before a time is left.
DELETE FROM erasures WHERE tenant = :tenant AND requested_at <= :before
RETURNING request;
