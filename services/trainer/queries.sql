-- lock_tenant --
-- Lock the requests, starts and ends of a tenant's runs until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('trainer.runs:' || :tenant, 0));

-- requested_run --
-- The run that an event has requested.
SELECT run FROM requests WHERE event_id = :event_id;

-- add_request --
-- Store which run an event has requested.
INSERT INTO requests (event_id, run) VALUES (:event_id, :run) ON CONFLICT (event_id) DO NOTHING;

-- join_queued --
-- Add a reason to the queued run of a tenant, and return it; of both kinds it gets the one that does more.
UPDATE runs
SET options = options || :options,
    kind = CASE
        WHEN array_position(ARRAY['incremental', 'vip', 'full'], kind)
            < array_position(ARRAY['incremental', 'vip', 'full'], :kind::text)
        THEN :kind ELSE kind
    END,
    reasons = CASE WHEN :reason = ANY (reasons) THEN reasons ELSE reasons || :reason::text END,
    imports = CASE
        WHEN :import_id::text IS NULL OR :import_id = ANY (imports) THEN imports
        ELSE imports || :import_id::text
    END
WHERE tenant = :tenant AND status = 'queued'
RETURNING run;

-- join_import --
-- Add a reason to the run of a tenant that waits for an import on behalf of an execution, and return it; a run that has
-- waited for it has its rows, even if it has completed.
UPDATE runs
SET reasons = CASE
    WHEN status = 'completed' OR :reason = ANY (reasons) THEN reasons ELSE reasons || :reason::text
END
WHERE run = (
    SELECT r.run FROM runs r
    JOIN steps w ON w.run = r.run AND w.name = 'wait'
    WHERE r.tenant = :tenant AND r.status IN ('queued', 'running', 'completed')
      AND :import_id::text = ANY (r.imports)
      AND (
          w.detail #>> ARRAY['imports', :import_id] = 'done'
          OR w.status IN ('pending', 'running') AND EXISTS (
              SELECT FROM executions e
              WHERE e.run = r.run AND e.import_id = :import_id AND e.stopped_at IS NULL
          )
      )
    ORDER BY r.run DESC
    LIMIT 1
)
RETURNING run;

-- add_run --
-- Add a run with the next number of the installation.
INSERT INTO runs (run, tenant, kind, options, reasons, imports)
VALUES (
    nextval('run_numbers'), :tenant, :kind, :options, ARRAY[:reason::text],
    CASE WHEN :import_id::text IS NULL THEN '{}' ELSE ARRAY[:import_id::text] END
)
RETURNING run;

-- add_steps --
-- Add the steps of a run, in their order.
INSERT INTO steps (run, position, name)
SELECT :run, position, name FROM unnest(:names::text[]) WITH ORDINALITY AS listed (name, position);

-- next_to_start --
-- The queued run of a tenant, if none is running.
SELECT run FROM runs
WHERE tenant = :tenant AND status = 'queued'
  AND NOT EXISTS (SELECT FROM runs WHERE tenant = :tenant AND status = 'running');

-- tenants_with_queued_run --
-- Tenants with a queued run.
SELECT tenant FROM runs WHERE status = 'queued';

-- start --
-- Set a queued run to running, unless another run of the tenant is running.
UPDATE runs SET status = 'running', started_at = now()
WHERE run = :run AND status = 'queued'
  AND NOT EXISTS (SELECT FROM runs other WHERE other.tenant = :tenant AND other.status = 'running');

-- run_to_start --
-- The data of a run that its job needs.
SELECT run, tenant, status, imports, created_at, started_at, kind, options FROM runs WHERE run = :run;

-- base --
-- The generation that serves the users of a tenant, if a full run of this installation made it, with its models.
SELECT a.generation AS run, s.detail -> 'models' AS models
FROM loader.active_v1 a
JOIN runs r ON r.run = a.generation AND r.tenant = a.tenant AND r.kind = 'full' AND r.status = 'completed'
JOIN steps s ON s.run = r.run AND s.name = 'train' AND s.status = 'done'
WHERE a.tenant = :tenant AND a.recipe = 'user-personalization';

-- newest_training --
-- The newest completed full run of a tenant: the end of its training, its models, lists and items.
SELECT r.run, train.finished_at AS trained_at, train.detail -> 'models' AS models,
       manifest.detail -> 'recipes' AS lists,
       coalesce((snapshot.detail #>> '{files,items,rows}')::bigint, 0) AS items
FROM runs r
LEFT JOIN steps train ON train.run = r.run AND train.name = 'train' AND train.status = 'done'
LEFT JOIN steps manifest ON manifest.run = r.run AND manifest.name = 'manifest'
LEFT JOIN steps snapshot ON snapshot.run = r.run AND snapshot.name = 'snapshot'
WHERE r.tenant = :tenant AND r.kind = 'full' AND r.status = 'completed'
ORDER BY r.run DESC
LIMIT 1;

-- last_import --
-- The time of the newest snapshot since a base whose interactions were imported.
SELECT max(s.started_at) FROM runs r
JOIN steps s ON s.run = r.run AND s.name = 'snapshot'
JOIN steps i ON i.run = r.run AND i.name = 'import' AND i.status = 'done'
WHERE r.tenant = :tenant AND r.run >= :base AND r.run < :run;

-- steps_of --
-- The steps of a run, in their order.
SELECT name, status, detail FROM steps WHERE run = :run ORDER BY position;

-- start_step --
-- Set a step to running, also after its worker has died, and return when it was first started.
UPDATE steps SET status = 'running', started_at = coalesce(started_at, now())
WHERE run = :run AND name = :name AND status IN ('pending', 'running')
RETURNING started_at;

-- report_step --
-- Store the progress of a step, and merge the details that a retry needs.
UPDATE steps SET progress = :progress, detail = detail || :detail
WHERE run = :run AND name = :name AND status = 'running';

-- end_step --
-- Set a step to done or skipped.
UPDATE steps SET status = :status, progress = 1, finished_at = now()
WHERE run = :run AND name = :name AND status = 'running';

-- complete --
-- Set a run to completed.
UPDATE runs SET status = 'completed', finished_at = now() WHERE run = :run AND status = 'running';

-- fail --
-- Set a run to failed.
UPDATE runs SET status = 'failed', finished_at = now(), error = :error
WHERE run = :run AND status IN ('queued', 'running');

-- cancel --
-- Set a queued or running run of a tenant to cancelled or timed_out.
UPDATE runs SET status = :status, finished_at = now(), error = :error
WHERE run = :run AND tenant = :tenant AND status IN ('queued', 'running');

-- cancel_step --
-- Set the running step of a run to cancelled, and return its name.
UPDATE steps SET status = 'cancelled', finished_at = now()
WHERE run = :run AND status = 'running'
RETURNING name;

-- status --
-- The status of a run of a tenant.
SELECT status FROM runs WHERE run = :run AND tenant = :tenant;

-- is_stopped --
-- Return whether a run was cancelled, or stopped at the end of its budget.
SELECT status IN ('cancelled', 'timed_out') FROM runs WHERE run = :run;

-- fail_step --
-- Set the running step of a run to failed, and return its name.
UPDATE steps SET status = 'failed', finished_at = now()
WHERE run = :run AND status = 'running'
RETURNING name;

-- runs --
-- The newest runs of a tenant, with their steps.
SELECT r.run AS id, r.run, r.kind, r.options, r.status, r.reasons, r.error, r.created_at, r.started_at, r.finished_at,
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

-- dataset_group --
-- The ARN of the dataset group of a tenant.
SELECT dataset_group_arn FROM engine.accounts_v1 WHERE tenant = :tenant;

-- has_data --
-- Return whether a tenant has interactions; none for an unknown tenant.
SELECT EXISTS (SELECT FROM tracker.interactions_v1 i WHERE i.tenant = a.tenant)
FROM engine.accounts_v1 a WHERE a.tenant = :tenant;

-- follow_settings --
-- Give each tenant the default schedule, unless it has put one of that name; change it when the settings did.
INSERT INTO schedules (tenant, name, kind, cron, from_settings, next_due)
SELECT a.tenant, :name, 'full', :cron, true, :next_due
FROM engine.accounts_v1 a
WHERE NOT EXISTS (
    SELECT FROM schedules s
    WHERE s.tenant = a.tenant AND s.name = :name AND (NOT s.from_settings OR s.cron = :cron)
)
ON CONFLICT (tenant, name) DO UPDATE SET cron = excluded.cron, next_due = excluded.next_due, changed_at = now()
WHERE schedules.from_settings;

-- forget_settings --
-- Delete the default schedules of the settings.
DELETE FROM schedules WHERE from_settings;

-- due_schedules --
-- Schedules that are due, those that have waited longest first.
SELECT tenant, name FROM schedules WHERE enabled AND next_due <= :now ORDER BY next_due;

-- lock_due_schedule --
-- Lock a schedule that is due, until the end of the transaction.
SELECT kind, cron, timezone, options FROM schedules
WHERE tenant = :tenant AND name = :name AND enabled AND next_due <= :now
FOR UPDATE;

-- advance_schedule --
-- Set the next time of a schedule, and the run of the last one.
UPDATE schedules SET next_due = :next_due, last_due = :due, last_run = :run
WHERE tenant = :tenant AND name = :name;

-- schedules --
-- The schedules of a tenant, or one of them.
SELECT name, kind, options, cron, timezone, enabled, from_settings, next_due, last_due, last_run, changed_at
FROM schedules WHERE tenant = :tenant AND name = coalesce(:name, name)
ORDER BY name;

-- put_schedule --
-- Add or change a schedule. An equal one keeps the time that is due next.
INSERT INTO schedules AS known (tenant, name, kind, options, cron, timezone, enabled, next_due)
VALUES (:tenant, :name, :kind, :options, :cron, :timezone, :enabled, :next_due)
ON CONFLICT (tenant, name) DO UPDATE
SET kind = excluded.kind, options = excluded.options, cron = excluded.cron, timezone = excluded.timezone, enabled = excluded.enabled,
    from_settings = false, changed_at = now(),
    next_due = CASE
        WHEN (known.cron, known.timezone, known.enabled) = (excluded.cron, excluded.timezone, excluded.enabled)
        THEN known.next_due ELSE excluded.next_due
    END
WHERE (known.kind, known.options, known.cron, known.timezone, known.enabled, known.from_settings)
    <> (excluded.kind, excluded.options, excluded.cron, excluded.timezone, excluded.enabled, false);

-- delete_schedule --
-- Delete a schedule of a tenant, unless it is that of the settings.
DELETE FROM schedules WHERE tenant = :tenant AND name = :name AND NOT from_settings;

-- delete_schedules --
-- Delete the schedules of a tenant that does not exist any more.
DELETE FROM schedules WHERE tenant = :tenant;

-- runs_with_old_files --
-- Ended runs with files, except for the newest full ones and the newest others of each tenant.
SELECT run, tenant FROM (
    SELECT run, tenant, status, files_removed_at,
           row_number() OVER (PARTITION BY tenant, kind = 'full' ORDER BY run DESC) AS place
    FROM runs WHERE status IN ('completed', 'failed', 'cancelled', 'timed_out')
) AS ended
WHERE place > :keep AND files_removed_at IS NULL
ORDER BY run;

-- files_removed --
-- Record that the files of a run were deleted.
UPDATE runs SET files_removed_at = now() WHERE run = :run;

-- configure_snapshot --
-- Configure a snapshot: sorts and hashes in memory, no JIT compilation, no nested loops. Each join reads whole tables,
-- and the planner takes tables without statistics, as after a first import, for empty and would use nested loops.
SELECT set_config('work_mem', '128MB', true), set_config('jit', 'off', true),
       set_config('enable_nestloop', 'off', true), set_config('statement_timeout', '0', true);

-- interactions_csv --
-- The interactions to train on that were stored since a time, one per user, item, second and type. Events of a session belong to the first user who
-- logged in to it; sessions without a login and orders of guests do not train. Anybody can send events with the key of a
-- storefront's pages, so a shop with a catalogue trains on the events of its items alone, and on all orders and files.
-- Rows that were stored before intake had bounds may have times and values out of bounds, which the import would refuse;
-- `real` also refuses tiny values. What an erasure covers is left out: the log may still have it.
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
  AND i.occurred_at >= :earliest AND i.occurred_at < :latest AND i.stored_at >= :stored_since
  AND coalesce(i.user_id, logins.user_id) IS NOT NULL
  AND (i.source IN ('order', 'import') OR i.item_id IN (SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant)
       OR NOT EXISTS (SELECT FROM sync.items_v1 WHERE tenant = :tenant))
  AND NOT EXISTS (
      SELECT FROM engine.erased_users_v1 erased
      WHERE erased.tenant = :tenant AND erased.user_id = coalesce(i.user_id, logins.user_id)
        AND least(i.occurred_at, i.received_at) <= erased.erased_at
  )
GROUP BY 1, 2, 3, 4;

-- excluded_rows --
-- Counts of interactions and values of the catalogue that are out of bounds, and excluded.
SELECT count(*) FILTER (WHERE occurred_at < :earliest OR occurred_at >= :latest) AS interactions,
       count(*) FILTER (
           WHERE source NOT IN ('order', 'import')
             AND item_id NOT IN (SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant)
             AND EXISTS (SELECT FROM sync.items_v1 WHERE tenant = :tenant)
       ) AS unknown_items,
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
-- The items of the catalogue; an item of unknown age is as old as the first interaction.
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
-- The users of the shop.
SELECT user_id AS "USER_ID", nullif(left(city, 1000), '') AS "CITY",
       nullif(left(province, 1000), '') AS "PROVINCE", nullif(left(country, 1000), '') AS "COUNTRY"
FROM sync.users_v1 AS users
WHERE tenant = :tenant AND NOT EXISTS (
    SELECT FROM engine.erased_users_v1 erased
    WHERE erased.tenant = :tenant AND erased.user_id = users.user_id AND users.updated_at <= erased.erased_at
);

-- popularity_csv --
-- The most popular items of each list by unique users. A user counts once for an item, at the place of the last
-- interaction, with a weight that halves with each half-life before the newest interaction. An item of several
-- categories, which | separates, counts in each; only the most popular categories have a list.
WITH visits AS MATERIALIZED (
    -- Any order is correct; that of the bytes is the fastest.
    SELECT DISTINCT ON (i.item_id COLLATE "C", coalesce(i.user_id, i.session_id) COLLATE "C")
           i.item_id, i.occurred_at, coalesce(i.country, u.country) AS country,
           coalesce(i.province, u.province) AS province, coalesce(i.city, u.city) AS city
    FROM tracker.interactions_v1 i
    LEFT JOIN sync.users_v1 u ON u.tenant = i.tenant AND u.user_id = i.user_id
    WHERE i.tenant = :tenant AND i.item_id IS NOT NULL AND i.event_type <> ALL (:excluded::text[])
      AND i.occurred_at >= :earliest AND i.occurred_at < :latest
      AND (i.source IN ('order', 'import') OR i.item_id IN (SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant)
           OR NOT EXISTS (SELECT FROM sync.items_v1 WHERE tenant = :tenant))
    ORDER BY i.item_id COLLATE "C", coalesce(i.user_id, i.session_id) COLLATE "C", i.occurred_at DESC
),
weighted AS (
    SELECT v.item_id, v.country, v.province, v.city,
           -- At most a hundred half-lives: exp() raises an error on underflow.
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
categorized AS (
    SELECT DISTINCT btrim(name) AS category, item_id, score
    FROM (
        SELECT unnest(string_to_array(category, '|')) AS name, item_id, score FROM available WHERE without = 7
    ) AS named
    WHERE btrim(name) <> ''
),
categories AS (
    SELECT category FROM categorized GROUP BY category ORDER BY sum(score) DESC, category LIMIT :categories
),
scored AS (
    -- A visit without a place is in no list of places, since its list is NULL.
    SELECT CASE without
               WHEN 7 THEN 'all'
               WHEN 3 THEN 'country:' || country
               WHEN 5 THEN 'province:' || province
               WHEN 6 THEN 'city:' || city
           END AS list, item_id, score
    FROM available
    UNION ALL
    SELECT 'category:' || category, item_id, score FROM categorized JOIN categories USING (category)
)
SELECT list, item_id, round(score::numeric, 7) AS score FROM (
    SELECT list, item_id, score,
           row_number() OVER (PARTITION BY list ORDER BY score DESC, item_id) AS place
    FROM scored
    WHERE list IS NOT NULL AND length(list) <= 256
) AS ranked
WHERE place <= :length
ORDER BY list, place;

-- bought_together --
-- For each item those that were bought with it, or after it on the same day: in the same order, or by the same customer
-- on a day (UTC) where the order is not known. Baskets of more items than :most_items, which are those of traders, do
-- not count, and neither do pairs of fewer than :least_common baskets. The score is the cosine of the two items' baskets,
-- shrunk where few of them support it.
WITH purchases AS MATERIALIZED (
    SELECT item_id, min(occurred_at) AS bought_at,
           coalesce(user_id, session_id, '') || coalesce(
               ' order ' || order_id, ' day ' || (occurred_at AT TIME ZONE 'UTC')::date
           ) AS basket
    FROM tracker.interactions_v1
    WHERE tenant = :tenant AND item_id IS NOT NULL AND event_type = 'purchase'
      AND occurred_at >= :earliest AND occurred_at < :latest
      AND (source IN ('order', 'import') OR item_id IN (SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant)
           OR NOT EXISTS (SELECT FROM sync.items_v1 WHERE tenant = :tenant))
    GROUP BY item_id, basket
),
baskets AS (
    SELECT basket FROM purchases GROUP BY basket HAVING count(*) <= :most_items
),
bought AS MATERIALIZED (
    SELECT item_id, bought_at, basket FROM purchases JOIN baskets USING (basket)
),
counts AS (
    SELECT item_id, count(*)::float8 AS baskets FROM bought GROUP BY item_id
),
pairs AS (
    SELECT first.item_id, next.item_id AS other, count(*)::float8 AS common
    FROM bought first
    JOIN bought next ON next.basket = first.basket AND next.item_id <> first.item_id
        AND next.bought_at >= first.bought_at
    GROUP BY 1, 2
    HAVING count(*) >= :least_common
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY item_id ORDER BY score DESC, other) AS place
    FROM (
        SELECT p.item_id, p.other,
               p.common / sqrt(a.baskets * b.baskets) * p.common / (p.common + :shrinkage::float8) AS score
        FROM pairs p
        JOIN counts a ON a.item_id = p.item_id
        JOIN counts b ON b.item_id = p.other
        LEFT JOIN sync.items_v1 items ON items.tenant = :tenant AND items.item_id = p.other
        WHERE items.available IS NOT FALSE
    ) AS scored
)
SELECT item_id AS id, array_agg(other ORDER BY place) AS items,
       array_agg(round(score::numeric, 7)::float8 ORDER BY place) AS scores
FROM ranked
WHERE place <= :length
GROUP BY item_id
ORDER BY item_id;

-- user_ids --
-- The users for whom the batch computes lists: known users, not guests.
SELECT DISTINCT i.user_id AS id FROM tracker.interactions_v1 i
WHERE i.tenant = :tenant AND i.item_id IS NOT NULL AND i.event_type <> ALL (:excluded::text[])
  AND i.user_id IS NOT NULL AND i.user_id NOT LIKE 'order:%'
  AND NOT EXISTS (
      SELECT FROM engine.erased_users_v1 erased
      WHERE erased.tenant = :tenant AND erased.user_id = i.user_id
        AND least(i.occurred_at, i.received_at) <= erased.erased_at
  );

-- overlay_user_ids --
-- The users for whom an overlay has lists: those without one in the generation `base`, and with :share above 0 the
-- customers of the highest value: that share of all who bought in the days up to the newest purchase, by spending.
WITH purchases AS MATERIALIZED (
    SELECT user_id, occurred_at, coalesce(value, price * coalesce(quantity, 1), 0) AS spent
    FROM tracker.interactions_v1 i
    WHERE tenant = :tenant AND event_type = 'purchase' AND user_id IS NOT NULL AND user_id NOT LIKE 'order:%'
      AND NOT EXISTS (
          SELECT FROM engine.erased_users_v1 erased
          WHERE erased.tenant = :tenant AND erased.user_id = i.user_id
            AND least(i.occurred_at, i.received_at) <= erased.erased_at
      )
      AND :share::float8 > 0 AND abs(coalesce(value, price * coalesce(quantity, 1), 0)) <= :largest
),
customers AS (
    SELECT user_id, row_number() OVER (ORDER BY sum(spent) DESC, user_id) AS place, count(*) OVER () AS customers
    FROM purchases
    WHERE occurred_at >= (SELECT max(occurred_at) FROM purchases) - make_interval(days => :window_days::int)
    GROUP BY user_id
    HAVING sum(spent) > 0
),
vip AS (
    SELECT user_id FROM customers WHERE place <= ceil(:share::float8 * customers)
),
unlisted AS (
    SELECT DISTINCT i.user_id FROM tracker.interactions_v1 i
    WHERE i.tenant = :tenant AND i.item_id IS NOT NULL AND i.event_type <> ALL (:excluded::text[])
      AND i.user_id IS NOT NULL AND i.user_id NOT LIKE 'order:%'
      AND NOT EXISTS (
          SELECT FROM engine.erased_users_v1 erased
          WHERE erased.tenant = :tenant AND erased.user_id = i.user_id
            AND least(i.occurred_at, i.received_at) <= erased.erased_at
      )
      AND NOT EXISTS (
          SELECT FROM loader.lists_v1 l
          WHERE l.tenant = :tenant AND l.generation = :base AND l.recipe = 'user-personalization'
            AND l.id = i.user_id
      )
)
SELECT coalesce(vip.user_id, unlisted.user_id) AS id, vip.user_id IS NOT NULL AS is_vip,
       unlisted.user_id IS NOT NULL AS is_new
FROM vip FULL JOIN unlisted USING (user_id);

-- new_item_lists --
-- Lists of the items without one in the generation `base`. An item that n visitors touched, of whom c touched another,
-- scores that c / n · c / (c + :shrinkage); popular items of its categories follow, by their place there and by how near
-- their price is, at a tenth of the scale.
WITH listed AS (
    SELECT i.item_id FROM tracker.interactions_v1 i
    WHERE i.tenant = :tenant AND i.item_id IS NOT NULL AND i.event_type <> ALL (:excluded::text[])
      AND (i.source IN ('order', 'import')
           OR i.item_id IN (SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant)
           OR NOT EXISTS (SELECT FROM sync.items_v1 WHERE tenant = :tenant))
    UNION
    SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant AND available
),
new_items AS MATERIALIZED (
    SELECT item_id FROM listed
    WHERE NOT EXISTS (
        SELECT FROM loader.lists_v1 l
        WHERE l.tenant = :tenant AND l.generation = :base AND l.recipe = 'similar-items' AND l.id = listed.item_id
    )
    ORDER BY item_id LIMIT :most_items
),
touched AS MATERIALIZED (
    SELECT DISTINCT i.item_id, coalesce(i.user_id, i.session_id) AS visitor
    FROM tracker.interactions_v1 i
    WHERE i.tenant = :tenant AND i.item_id IN (SELECT item_id FROM new_items)
      AND i.event_type <> ALL (:excluded::text[]) AND coalesce(i.user_id, i.session_id) IS NOT NULL
),
visitors AS (
    SELECT item_id, count(*)::float8 AS visitors FROM touched GROUP BY item_id
),
together AS (
    SELECT t.item_id, i.item_id AS other, count(DISTINCT t.visitor)::float8 AS common
    FROM touched t
    JOIN tracker.interactions_v1 i
        ON i.tenant = :tenant AND coalesce(i.user_id, i.session_id) = t.visitor AND i.item_id <> t.item_id
        AND i.event_type <> ALL (:excluded::text[])
    WHERE i.item_id IS NOT NULL
    GROUP BY 1, 2
),
in_categories AS (
    SELECT n.item_id, popular.item ->> 0 AS other, max(1.0 / popular.place * CASE
               WHEN own.price > 0 AND theirs.price > 0
               THEN least(own.price, theirs.price) / greatest(own.price, theirs.price) ELSE 0.5
           END) AS score
    FROM new_items n
    JOIN sync.items_v1 own ON own.tenant = :tenant AND own.item_id = n.item_id
    CROSS JOIN unnest(string_to_array(own.category, '|')) AS named (category)
    JOIN loader.lists_v1 l
        ON l.tenant = :tenant AND l.generation = :base AND l.recipe = 'popularity'
        AND l.id = 'category:' || btrim(named.category)
    CROSS JOIN jsonb_array_elements(l.items) WITH ORDINALITY AS popular (item, place)
    JOIN sync.items_v1 theirs ON theirs.tenant = :tenant AND theirs.item_id = popular.item ->> 0
    WHERE popular.item ->> 0 <> n.item_id
    GROUP BY 1, 2
),
scored AS (
    SELECT item_id, other,
           coalesce(t.common / v.visitors * t.common / (t.common + :shrinkage::float8), 0)
               + coalesce(0.1 * c.score, 0) AS score
    FROM together t
    JOIN visitors v USING (item_id)
    FULL JOIN in_categories c USING (item_id, other)
),
ranked AS (
    SELECT s.*, row_number() OVER (PARTITION BY s.item_id ORDER BY score DESC, other) AS place
    FROM scored s
    LEFT JOIN sync.items_v1 items ON items.tenant = :tenant AND items.item_id = s.other
    WHERE items.available IS NOT FALSE
)
SELECT item_id AS id, array_agg(other ORDER BY place) AS items,
       array_agg(round(score::numeric, 7)::float8 ORDER BY place) AS scores
FROM ranked
WHERE place <= :length
GROUP BY item_id
ORDER BY item_id;

-- item_ids --
-- The items for which the batch computes lists: those with interactions that train, and the available ones of the
-- catalogue.
SELECT item_id AS id FROM tracker.interactions_v1
WHERE tenant = :tenant AND item_id IS NOT NULL AND event_type <> ALL (:excluded::text[])
  AND (source IN ('order', 'import') OR item_id IN (SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant)
       OR NOT EXISTS (SELECT FROM sync.items_v1 WHERE tenant = :tenant))
UNION
SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant AND available;

-- add_erasure --
-- Add an erasure: the files of runs that started before a time must be deleted.
INSERT INTO erasures (tenant, user_id, erasure_id, requested_at, request)
VALUES (:tenant, :user_id, :erasure_id, :requested_at, :request)
ON CONFLICT DO NOTHING;

-- erasures_due --
-- Tenants with erasures whose earlier runs have all ended, and the newest time of these erasures.
SELECT e.tenant, max(e.requested_at) AS requested_at
FROM erasures e
WHERE NOT EXISTS (
    SELECT FROM runs r
    WHERE r.tenant = e.tenant AND r.started_at <= e.requested_at AND r.files_removed_at IS NULL
      AND (r.status = 'running' OR r.finished_at > now() - make_interval(secs => :load_seconds::float8))
)
GROUP BY e.tenant;

-- runs_before --
-- Ended runs of a tenant that started before a time and have files.
SELECT run FROM runs
WHERE tenant = :tenant AND started_at <= :before AND status IN ('completed', 'failed', 'cancelled', 'timed_out')
  AND files_removed_at IS NULL
ORDER BY run;

-- end_erasures --
-- End the erasures of a tenant up to a time, and return their requests.
DELETE FROM erasures WHERE tenant = :tenant AND requested_at <= :before
RETURNING request;

-- add_execution --
-- Add an execution of a run.
INSERT INTO executions (tenant, name, machine, input, run, import_id)
VALUES (:tenant, :name, :machine, :input, :run, :import_id);

-- execution --
-- An execution of one of these tenants by its name.
SELECT id, tenant, name, machine, input, run, reasons, started_at, status, stopped_at, error, cause
FROM execution_states WHERE tenant = ANY(:tenants::text[]) AND name = :name
ORDER BY array_position(:tenants, tenant)
LIMIT 1;

-- drop_execution --
-- Delete an execution, whose name may be used again.
DELETE FROM executions WHERE id = :id;

-- executions --
-- Executions of a tenant from a place on: running ones first, the newest of each first.
SELECT id, tenant, name, machine, input, run, reasons, started_at, status, stopped_at, error, cause
FROM execution_states
WHERE tenant = :tenant AND status = coalesce(:status, status)
  AND (
      :after_id::bigint IS NULL
      OR (stopped_at IS NULL, coalesce(stopped_at, started_at), id)
          < (:after_running::boolean, :after_at::timestamptz, :after_id)
  )
ORDER BY stopped_at IS NULL DESC, coalesce(stopped_at, started_at) DESC, id DESC
LIMIT :limit;

-- others_running --
-- Return whether others wait for a run: each has added a reason, and each execution that was stopped or failed had one.
SELECT EXISTS (SELECT FROM executions WHERE run = :run AND id <> :id AND stopped_at IS NULL)
    OR (
        SELECT cardinality(r.reasons) > (
            SELECT count(*) FROM executions e WHERE e.run = r.run AND (e.id = :id OR e.stopped_at IS NOT NULL)
        )
        FROM runs r WHERE r.run = :run
    );

-- imports_of_executions --
-- The imports of the executions of a run that were not stopped and have not failed.
SELECT DISTINCT import_id FROM executions
WHERE run = :run AND import_id IS NOT NULL AND stopped_at IS NULL
ORDER BY import_id;

-- fail_executions --
-- Fail the executions of a run whose import failed.
UPDATE executions SET failed = true, stopped_at = now(), error = 'import', cause = :cause
WHERE run = :run AND import_id = :import_id AND stopped_at IS NULL;

-- failed_import --
-- Why an import of a run failed, if all who asked for the run were executions that have ended.
SELECT max(e.cause)
FROM runs r JOIN executions e USING (run)
WHERE r.run = :run AND e.failed AND cardinality(r.reasons) <= (
    SELECT count(*) FROM executions o WHERE o.run = r.run AND o.stopped_at IS NOT NULL
);

-- stop_execution --
-- Set an execution to stopped.
UPDATE executions SET stopped_at = now(), error = :error, cause = :cause
WHERE id = :id AND stopped_at IS NULL
RETURNING stopped_at;

-- execution_steps --
-- The steps of a run, in their order, with their times.
SELECT name, status, detail, started_at, finished_at FROM steps WHERE run = :run ORDER BY position;

-- log_events --
-- What happened to runs of the trainer and jobs of the engine, oldest first, from a place on.
SELECT at, stream, id, message
FROM (
    SELECT tenant, 'trainer' AS stream, created_at AS at, 'run-' || run || '-a' AS id,
           'INFO run ' || run || ' requested: ' || array_to_string(reasons, '; ') AS message
    FROM runs
    UNION ALL
    SELECT tenant, 'trainer', finished_at, 'run-' || run || '-z',
           CASE status
               WHEN 'failed' THEN 'ERROR' WHEN 'timed_out' THEN 'ERROR' WHEN 'cancelled' THEN 'WARN' ELSE 'INFO'
           END
               || ' run ' || run || ' ' || status || coalesce(': ' || error, '')
    FROM runs WHERE finished_at IS NOT NULL
    UNION ALL
    SELECT r.tenant, 'trainer', s.started_at, 'run-' || run || '-' || s.position || '-a',
           'INFO run ' || run || ' step ' || s.name || ' started'
    FROM steps s JOIN runs r USING (run) WHERE s.started_at IS NOT NULL
    UNION ALL
    SELECT r.tenant, 'trainer', s.finished_at, 'run-' || run || '-' || s.position || '-z',
           CASE s.status WHEN 'failed' THEN 'ERROR' WHEN 'cancelled' THEN 'WARN' ELSE 'INFO' END
               || ' run ' || run || ' step ' || s.name || ' ' || s.status || ' after '
               || round(extract(epoch FROM s.finished_at - s.started_at), 2) || ' s'
    FROM steps s JOIN runs r USING (run) WHERE s.finished_at IS NOT NULL AND s.started_at IS NOT NULL
    UNION ALL
    SELECT tenant, 'engine', created_at, path || '-a', 'INFO ' || type || ' ' || path || ' created'
    FROM engine.job_states_v1
    UNION ALL
    SELECT tenant, 'engine', updated_at, path || '-z',
           CASE WHEN status LIKE '%FAILED' THEN 'ERROR' ELSE 'INFO' END
               || ' ' || type || ' ' || path || ' is ' || status || coalesce(': ' || failure_reason, '')
    FROM engine.job_states_v1 WHERE updated_at > created_at
) AS events
WHERE tenant = ANY(:tenants::text[]) AND stream = ANY(:streams::text[])
  AND at >= coalesce(:begin::timestamptz, '-infinity') AND at < coalesce(:end::timestamptz, 'infinity')
  AND (:after_at::timestamptz IS NULL OR (at, stream, id) > (:after_at, :after_stream::text, :after_id::text))
ORDER BY at, stream, id
LIMIT :limit;

-- log_streams --
-- The first and last time of what happened in each stream.
SELECT 'trainer' AS stream, min(created_at) AS first_at, max(coalesce(finished_at, started_at, created_at)) AS last_at
FROM runs WHERE tenant = ANY(:tenants::text[])
HAVING count(*) > 0
UNION ALL
SELECT 'engine', min(created_at), max(updated_at)
FROM engine.job_states_v1 WHERE tenant = ANY(:tenants)
HAVING count(*) > 0;
