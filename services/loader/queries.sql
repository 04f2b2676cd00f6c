-- receive --
-- Add a queued generation for a finished run; no row when it exists already.
INSERT INTO generations (generation, tenant, status, bucket, manifest, started_at, kind, base, as_of)
VALUES (:generation, :tenant, 'queued', :bucket, :manifest, :started_at, :kind, :base, :as_of)
ON CONFLICT (generation) DO NOTHING
RETURNING generation;

-- receive_failure --
-- Add a failed generation, with the reason, for a run without lists.
INSERT INTO generations (generation, tenant, status, reason)
VALUES (:generation, :tenant, 'failed', :reason)
ON CONFLICT (generation) DO NOTHING;

-- owner --
-- The tenant of a run.
SELECT tenant FROM generations WHERE generation = :generation;

-- start_load --
-- Set a generation to loading, also after an interrupted load.
UPDATE generations SET status = 'loading'
WHERE generation = :generation AND status IN ('queued', 'loading');

-- generation_to_load --
-- The data of a generation that its load needs.
SELECT generation, tenant, status, reason, bucket, manifest, loads, rows, kind, base
FROM generations WHERE generation = :generation;

-- make_staging --
-- Create a staging table for one attempt and return its name.
SELECT make_staging(:tenant, :generation, :attempt);

-- index_staging --
-- Build the primary key of a filled table; an error when an id has two lists.
SELECT index_staging(:staging);

-- attach_staging --
-- Attach a filled table as the partition of a generation.
SELECT attach_staging(:staging, :generation);

-- last_rows --
-- The number of active lists of each recipe of a tenant.
SELECT a.recipe, r.rows
FROM active a JOIN generation_recipes r ON r.generation = a.generation AND r.recipe = a.recipe
WHERE a.tenant = :tenant;

-- catalogue --
-- The items of the catalogue of a tenant.
SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant;

-- lock_loading --
-- Lock a generation that is still loading until the end of the transaction.
SELECT generation FROM generations WHERE generation = :generation AND status = 'loading' FOR UPDATE;

-- add_recipe --
-- Add a recipe of a generation, with the batch job that wrote it.
INSERT INTO generation_recipes (
    generation, recipe, rows, rejected, engine_recipe, job_name, job_arn, started_at, completed_at
)
VALUES (
    :generation, :recipe, :rows, :rejected, :engine_recipe, :job_name, :job_arn, :started_at, :completed_at
)
ON CONFLICT (generation, recipe) DO UPDATE
SET rows = excluded.rows, rejected = excluded.rejected;

-- is_older_pending --
-- Return whether a generation of the same tenant that is older than an overlay is yet to be loaded.
SELECT EXISTS (
    SELECT FROM generations
    WHERE tenant = :tenant AND generation < :generation AND status IN ('queued', 'loading')
);

-- overlay_before --
-- The newest overlay of a base before a generation, unless somebody has taken it away.
SELECT max(g.generation) FROM generations g
WHERE g.tenant = :tenant AND g.base = :base AND g.generation < :generation AND g.status = 'loaded'
  AND (
      EXISTS (SELECT FROM active a WHERE a.overlay = g.generation)
      OR NOT EXISTS (SELECT FROM activations a WHERE a.generation = g.generation)
  );

-- carry_over --
-- Copy the lists that an overlay lacks from the overlay before, whose age it then has; return their number.
WITH carried AS (
    INSERT INTO lists (tenant, generation, recipe, id, items)
    SELECT tenant, :generation, recipe, id, items FROM lists WHERE generation = :previous
    ON CONFLICT (generation, recipe, id) DO NOTHING
    RETURNING recipe
), of_recipes AS (
    INSERT INTO generation_recipes AS known (
        generation, recipe, rows, rejected, engine_recipe, job_name, job_arn, started_at, completed_at
    )
    SELECT :generation, p.recipe, c.rows, 0, p.engine_recipe, p.job_name, p.job_arn, p.started_at, p.completed_at
    FROM generation_recipes p
    JOIN (SELECT recipe, count(*) AS rows FROM carried GROUP BY recipe) AS c USING (recipe)
    WHERE p.generation = :previous
    ON CONFLICT (generation, recipe) DO UPDATE SET rows = known.rows + excluded.rows
), aged AS (
    UPDATE generations SET as_of = (SELECT as_of FROM generations WHERE generation = :previous)
    WHERE generation = :generation AND EXISTS (SELECT FROM carried)
)
SELECT count(*) FROM carried;

-- delete_rejects --
-- Delete the rejected lines of an earlier load.
DELETE FROM rejects WHERE generation = :generation;

-- finish_loading --
-- Set a generation to loaded.
UPDATE generations
SET status = 'loaded', reason = NULL, rows = :rows, rejected = :rejected, loaded_at = now()
WHERE generation = :generation;

-- refuse --
-- Set a generation to refused, with the reason.
UPDATE generations SET status = 'refused', reason = :reason, rejected = :rejected
WHERE generation = :generation AND status IN ('queued', 'loading');

-- fail --
-- Set a generation to failed, with the reason.
UPDATE generations SET status = 'failed', reason = :reason
WHERE generation = :generation AND status IN ('queued', 'loading');

-- queue_reload --
-- Queue another load of a generation that was refused, or whose load failed; return the number of loads.
UPDATE generations SET status = 'queued', reason = NULL, loads = loads + 1
WHERE generation = :generation AND status IN ('refused', 'failed') AND manifest IS NOT NULL
RETURNING loads;

-- lock_tenant --
-- Lock the activations and drops of a tenant's generations until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('loader.activate:' || :tenant, 0));

-- may_activate_after_load --
-- Return whether a loaded generation is the newest of its tenant and was never activated by its load; an overlay must be
-- the newest of its base, and that must be active.
SELECT g.status = 'loaded'
   AND NOT EXISTS (
       SELECT FROM generations newer
       WHERE newer.tenant = g.tenant AND newer.generation > g.generation
         AND newer.base IS NOT DISTINCT FROM g.base
         AND newer.status IN ('loaded', 'dropping', 'dropped')
   )
   AND NOT EXISTS (
       SELECT FROM activations a
       WHERE a.tenant = g.tenant AND a.generation = g.generation AND a.cause = 'load'
   )
   AND (g.base IS NULL OR EXISTS (SELECT FROM active a WHERE a.tenant = g.tenant AND a.generation = g.base))
FROM generations g WHERE g.generation = :generation;

-- is_active --
-- Return whether a generation is the active one of all its recipes, and no overlay is active beside it.
SELECT NOT EXISTS (
    SELECT FROM generation_recipes r
    JOIN generations g ON g.generation = r.generation
    LEFT JOIN active a
        ON a.tenant = :tenant AND a.recipe = r.recipe
        AND CASE WHEN g.base IS NULL THEN a.generation = r.generation AND a.overlay IS NULL
            ELSE a.overlay = r.generation END
    WHERE r.generation = :generation AND a.recipe IS NULL
);

-- base --
-- The base of an overlay; null for another generation.
SELECT base FROM generations WHERE generation = :generation;

-- newest_overlay --
-- The newest loaded overlay of a base.
SELECT max(generation) FROM generations WHERE tenant = :tenant AND base = :base AND status = 'loaded';

-- set_overlay --
-- Make an overlay the only active one of its base, if that is active.
UPDATE active SET activation = :activation, activated_at = :now,
    overlay = CASE WHEN recipe IN (SELECT recipe FROM generation_recipes WHERE generation = :generation)
        THEN :generation::bigint END
WHERE tenant = :tenant
  AND generation = (SELECT base FROM generations WHERE generation = :generation);

-- lock_generation --
-- Lock a generation of a tenant until the end of the transaction, and return its state.
SELECT status, reason, manifest IS NOT NULL AS loadable, base
FROM generations WHERE generation = :generation AND tenant = :tenant FOR UPDATE;

-- next_activation --
-- The number of the next activation of a tenant; numbers only grow.
SELECT coalesce(max(activation), 0) + 1 FROM activations WHERE tenant = :tenant;

-- set_active --
-- Make a generation the active one of all its recipes, without an overlay.
INSERT INTO active (tenant, recipe, generation, activation, activated_at)
SELECT :tenant, recipe, generation, :activation, :now
FROM generation_recipes WHERE generation = :generation
ON CONFLICT (tenant, recipe) DO UPDATE
SET generation = excluded.generation, activation = excluded.activation,
    activated_at = excluded.activated_at, overlay = NULL;

-- active --
-- The active generation and overlay of each recipe of a tenant.
SELECT recipe, generation, activation, overlay, overlay_as_of FROM active_v1 WHERE tenant = :tenant ORDER BY recipe;

-- add_activation --
-- Add an activation to the history of a tenant.
INSERT INTO activations (tenant, activation, generation, cause, generations, overlays, activated_at)
VALUES (:tenant, :activation, :generation, :cause, :generations, :overlays, :now);

-- active_generations --
-- The state that Redis must have, of every tenant.
SELECT a.tenant, max(a.activation) AS activation, jsonb_object_agg(a.recipe, a.generation) AS generations,
       coalesce(
           jsonb_object_agg(a.recipe, jsonb_build_object('generation', a.overlay, 'as_of', g.as_of))
               FILTER (WHERE a.overlay = g.generation), '{}'
       ) AS overlays,
       jsonb_object_agg(g.generation::text, g.rows) AS rows
FROM active a JOIN generations g ON g.generation IN (a.generation, a.overlay)
GROUP BY a.tenant;

-- entries --
-- All lists of a generation, as bytes for Redis.
SELECT recipe, id, convert_to(items::text, 'UTF8') AS items FROM lists WHERE generation = :generation;

-- tenants --
-- The tenants that have generations.
SELECT DISTINCT tenant FROM generations;

-- mark_for_dropping --
-- Mark generations for dropping that are beyond those to keep, not active and without a pending load. Overlays count for
-- themselves, and go with their base.
UPDATE generations SET status = 'dropping'
WHERE generation IN (
    SELECT generation FROM (
        SELECT g.generation, row_number() OVER (PARTITION BY g.base IS NULL ORDER BY g.generation DESC) AS place,
               EXISTS (
                   SELECT FROM generations b WHERE b.generation = g.base AND b.status IN ('dropping', 'dropped')
               ) AS is_orphan
        FROM generations g
        WHERE g.tenant = :tenant AND g.status = 'loaded'
          AND NOT EXISTS (SELECT FROM active a WHERE g.generation IN (a.generation, a.overlay))
          AND NOT EXISTS (
              SELECT FROM jobs j
              WHERE j.kind = 'load' AND j.payload ->> 'generation' = g.generation::text
                AND j.status IN ('queued', 'running')
          )
    ) AS idle
    WHERE place > :keep OR is_orphan
);

-- to_drop --
-- Generations marked for dropping, and whether their partition is still attached.
SELECT g.generation, g.tenant, 'lists_' || g.generation AS partition,
       c.oid IS NOT NULL AS present, c.relispartition IS TRUE AS attached
FROM generations g
LEFT JOIN pg_class c ON c.relname = 'lists_' || g.generation AND c.relnamespace = 'loader'::regnamespace
WHERE g.status = 'dropping'
ORDER BY g.generation;

-- detach_commands --
-- Commands that detach partitions without blocking readers; an interrupted one is finished first.
SELECT format(
    'ALTER TABLE loader.lists DETACH PARTITION loader.%I %s',
    c.relname, CASE WHEN i.inhdetachpending THEN 'FINALIZE' ELSE 'CONCURRENTLY' END
) AS command
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
LEFT JOIN generations g ON c.relname = 'lists_' || g.generation
WHERE i.inhparent = 'loader.lists'::regclass AND (i.inhdetachpending OR g.status = 'dropping')
ORDER BY i.inhdetachpending DESC, c.relname;

-- detached_entries_command --
-- A command that selects the ids of a detached partition, whose keys are deleted from Redis.
SELECT format('SELECT recipe, id FROM loader.%I', :partition::text) AS command;

-- drop_detached --
-- Drop a table that no generation uses.
SELECT drop_detached(:detached);

-- dropped --
-- Set a generation to dropped; its row stays as history.
UPDATE generations SET status = 'dropped' WHERE generation = :generation AND status = 'dropping';

-- leftovers --
-- Staging tables of interrupted loads that no job continues.
SELECT c.relname AS staging
FROM pg_class c
JOIN generations g ON g.generation = split_part(c.relname, '_', 2)::bigint
WHERE c.relnamespace = 'loader'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
  AND c.relname ~ '^lists_\d+_\d+$'
  AND NOT EXISTS (
      SELECT FROM jobs j
      WHERE j.kind = 'load' AND j.payload ->> 'generation' = g.generation::text
        AND j.status IN ('queued', 'running')
        AND c.relname = format('lists_%s_%s', g.generation, (j.payload ->> 'load')::int * 1000 + j.attempts)
  );

-- lock_cleanup --
-- Return whether this process may clean up; one at a time may.
SELECT pg_try_advisory_lock(hashtextextended('loader.clean', 0));

-- unlock_cleanup --
-- Let another process clean up.
SELECT pg_advisory_unlock(hashtextextended('loader.clean', 0));

-- generations --
-- The newest generations of a tenant, with their recipes.
SELECT g.generation, g.kind, g.base, g.status, g.reason, g.rows, g.rejected, g.started_at, g.received_at, g.loaded_at,
       EXISTS (SELECT FROM active a WHERE g.generation IN (a.generation, a.overlay)) AS active,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object(
               'recipe', r.recipe, 'rows', r.rows, 'rejected', r.rejected,
               'engine_recipe', r.engine_recipe,
               'active', EXISTS (
                   SELECT FROM active a WHERE r.generation IN (a.generation, a.overlay) AND a.recipe = r.recipe
               )
           ) ORDER BY r.recipe)
           FROM generation_recipes r WHERE r.generation = g.generation
       ), '[]') AS recipes
FROM generations g
WHERE g.tenant = :tenant AND g.generation = coalesce(:generation, g.generation)
ORDER BY g.generation DESC
LIMIT :limit;

-- active_tables --
-- The active lists of each recipe of a tenant, with the size of their partition and of all lists in it.
SELECT a.recipe, a.generation, a.activated_at, r.rows AS lists, g.rows AS all_lists,
       coalesce(pg_total_relation_size(to_regclass('loader.lists_' || a.generation)), 0) AS bytes
FROM active a
JOIN generation_recipes r ON r.generation = a.generation AND r.recipe = a.recipe
JOIN generations g ON g.generation = a.generation
WHERE a.tenant = :tenant
ORDER BY a.recipe;

-- rejected_lines --
-- The first rejected lines of a generation.
SELECT recipe, file, line, reason, text FROM rejects
WHERE generation = :generation ORDER BY file, line LIMIT :limit;

-- lock_erasures --
-- Lock out other erasures and attachments of partitions of a tenant until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('loader.erase:' || :tenant, 0));

-- add_erased_user --
-- Add a user whose lists must not be kept; return the counts of an earlier attempt at the same erasure.
INSERT INTO erased_users (tenant, user_id, erasure_id, erased_at)
VALUES (:tenant, :user_id, :erasure_id, :erased_at)
ON CONFLICT (tenant, user_id) DO UPDATE
SET erasure_id = excluded.erasure_id, erased_at = greatest(erased_users.erased_at, excluded.erased_at),
    rows = CASE WHEN erased_users.erasure_id = excluded.erasure_id THEN erased_users.rows ELSE '{}' END
RETURNING rows;

-- count_erased --
-- Store the number of deleted rows of a user.
UPDATE erased_users SET rows = :rows WHERE tenant = :tenant AND user_id = :user_id;

-- end_erasure --
-- End an erasure: no run that started before it is left.
DELETE FROM erased_users WHERE tenant = :tenant AND user_id = :user_id;

-- erased_users --
-- Users whose lists must not be kept.
SELECT user_id FROM erased_users WHERE tenant = :tenant;

-- delete_lists_of_user --
-- Delete the lists of a user from every generation and return their number; ids of other lists are no user ids.
WITH gone AS (
    DELETE FROM lists
    WHERE tenant = :tenant AND id = :user_id AND recipe <> ALL (:recipes_without_users::text[])
    RETURNING generation, recipe
), of_recipes AS (
    UPDATE generation_recipes AS counted SET rows = counted.rows - less.rows
    FROM (SELECT generation, recipe, count(*) AS rows FROM gone GROUP BY generation, recipe) AS less
    WHERE counted.generation = less.generation AND counted.recipe = less.recipe
), of_generations AS (
    UPDATE generations AS counted SET rows = counted.rows - less.rows
    FROM (SELECT generation, count(*) AS rows FROM gone GROUP BY generation) AS less
    WHERE counted.generation = less.generation
)
SELECT count(*) FROM gone;

-- delete_rejects_of_user --
-- Delete rejected lines that contain the id of a user.
DELETE FROM rejects
USING generations
WHERE generations.generation = rejects.generation AND generations.tenant = :tenant
  AND position(:user_id IN rejects.text) > 0
RETURNING rejects.line;

-- delete_erased_lists --
-- Delete the lists of erased users from a generation whose run started before their erasure; return their number.
WITH gone AS (
    DELETE FROM lists
    USING erased_users AS erased, generations AS own
    WHERE own.generation = :generation AND lists.generation = own.generation
      AND lists.recipe <> ALL (:recipes_without_users::text[])
      AND erased.tenant = own.tenant AND erased.user_id = lists.id
      AND erased.erased_at >= coalesce(own.started_at, own.received_at)
    RETURNING lists.recipe
), of_recipes AS (
    UPDATE generation_recipes AS counted SET rows = counted.rows - less.rows
    FROM (SELECT recipe, count(*) AS rows FROM gone GROUP BY recipe) AS less
    WHERE counted.generation = :generation AND counted.recipe = less.recipe
)
SELECT count(*) FROM gone;

-- lists_in_redis --
-- Generations and recipes of a tenant that may be in Redis, with the number of lists of each generation.
SELECT g.generation, g.rows, r.recipe
FROM generations g JOIN generation_recipes r USING (generation)
WHERE g.tenant = :tenant AND g.status IN ('loaded', 'dropping')
  AND r.recipe <> ALL (:recipes_without_users::text[]);

-- lock_quality --
-- Return whether this process may measure; one at a time may.
SELECT pg_try_advisory_lock(hashtextextended('loader.quality', 0));

-- unlock_quality --
-- Let another process measure.
SELECT pg_advisory_unlock(hashtextextended('loader.quality', 0));

-- unmeasured_lists --
-- Loaded lists without figures, with the newest loaded generation before them that has the recipe too. Overlays have few
-- lists and no figures.
SELECT g.generation, g.tenant, r.recipe, (
    SELECT max(before.generation)
    FROM generations before JOIN generation_recipes USING (generation)
    WHERE before.tenant = g.tenant AND before.generation < g.generation AND before.status = 'loaded'
      AND before.base IS NULL AND generation_recipes.recipe = r.recipe
) AS previous
FROM generations g JOIN generation_recipes r USING (generation)
WHERE g.status = 'loaded' AND g.base IS NULL
  AND NOT EXISTS (SELECT FROM list_quality q WHERE q.generation = g.generation AND q.recipe = r.recipe)
ORDER BY g.generation, r.recipe;

-- available_items --
-- The items that a tenant sells.
SELECT item_id FROM sync.items_v1 WHERE tenant = :tenant AND available;

-- item_popularity --
-- The number of interactions by item; what was merely shown is none.
SELECT item_id, count(*) AS interactions
FROM tracker.interactions_v1
WHERE tenant = :tenant AND item_id IS NOT NULL AND event_type <> ALL (:shown::text[])
GROUP BY item_id;

-- compared_lists --
-- The item ids of each list of a recipe, and of the list of the same id in an earlier generation.
SELECT jsonb_path_query_array(new.items, '$[*][0]') AS items,
       jsonb_path_query_array(old.items, '$[*][0]') AS items_before
FROM lists new
LEFT JOIN lists old ON old.generation = :previous AND old.recipe = new.recipe AND old.id = new.id
WHERE new.generation = :generation AND new.recipe = :recipe;

-- store_quality --
-- Store the figures of lists, unless their generation is gone.
INSERT INTO list_quality (
    generation, recipe, previous, lists, empty, listed_items, catalogue_items, gini, popularity_lift,
    compared, changed_share, rank_overlap
)
SELECT generation, recipe, :previous::bigint, :lists::bigint, :empty::bigint, :listed_items::bigint,
       :catalogue_items::bigint, :gini::float8, :popularity_lift::float8, :compared::bigint,
       :changed_share::float8, :rank_overlap::float8
FROM generation_recipes WHERE generation = :generation AND recipe = :recipe
ON CONFLICT DO NOTHING;

-- tenants_to_cover --
-- Tenants whose coverage was counted longer ago than some seconds, or before their newest activation.
SELECT a.tenant
FROM active a
GROUP BY a.tenant
HAVING coalesce((SELECT max(c.measured_at) FROM coverage c WHERE c.tenant = a.tenant), '-infinity')
    < greatest(now() - make_interval(secs => :seconds), max(a.activated_at))
ORDER BY a.tenant;

-- measure_coverage --
-- Count the users with an interaction and the items on sale, and those of them that have a list that is served.
-- Guests have no lists.
WITH known AS (
    SELECT DISTINCT 'users' AS kind, user_id AS id
    FROM tracker.interactions_v1
    WHERE tenant = :tenant AND user_id IS NOT NULL AND user_id NOT LIKE 'order:%' AND item_id IS NOT NULL
      AND event_type <> ALL (:shown::text[])
    UNION ALL
    SELECT 'items', item_id FROM sync.items_v1 WHERE tenant = :tenant AND available
), listed AS (
    SELECT DISTINCT CASE WHEN l.recipe = ANY (:item_recipes::text[]) THEN 'items' ELSE 'users' END AS kind, l.id
    FROM active a JOIN lists l ON l.recipe = a.recipe AND l.generation IN (a.generation, a.overlay)
    WHERE a.tenant = :tenant AND l.items <> '[]'
      AND (l.recipe = ANY (:item_recipes::text[]) OR l.recipe <> ALL (:recipes_without_users::text[]))
)
INSERT INTO coverage (tenant, kind, known, listed)
SELECT :tenant, kinds.kind, count(known.id), count(listed.id)
FROM (VALUES ('users'), ('items')) AS kinds (kind)
LEFT JOIN known ON known.kind = kinds.kind
LEFT JOIN listed ON listed.kind = known.kind AND listed.id = known.id
GROUP BY kinds.kind
ON CONFLICT (tenant, kind, day) DO UPDATE
SET known = excluded.known, listed = excluded.listed, measured_at = excluded.measured_at;

-- delete_old_coverage --
-- Delete counts that are older than 400 days.
DELETE FROM coverage WHERE day < current_date - 400;

-- served_quality --
-- The lists that are served, of all tenants, with the start of their run and their figures.
SELECT a.tenant, a.recipe, coalesce(g.started_at, g.received_at) AS run_started_at,
       q.listed_items::float8 / nullif(q.catalogue_items, 0) AS catalogue_share, q.gini, q.popularity_lift,
       q.changed_share, q.rank_overlap
FROM active a
JOIN generations g USING (generation)
LEFT JOIN list_quality q ON q.generation = a.generation AND q.recipe = a.recipe
ORDER BY a.tenant, a.recipe;

-- newest_coverage --
-- The newest counts of all tenants that have lists, by kind.
SELECT DISTINCT ON (tenant, kind) tenant, kind, listed::float8 / nullif(known, 0) AS share
FROM coverage
WHERE tenant IN (SELECT active.tenant FROM active)
ORDER BY tenant, kind, day DESC;

-- coverage --
-- The counts of the last days of a tenant, oldest first.
SELECT day, kind, known, listed, listed::float8 / nullif(known, 0) AS share, measured_at
FROM coverage WHERE tenant = :tenant AND day > current_date - :days::int
ORDER BY day, kind;

-- quality_of_generations --
-- The figures of the newest generations of a tenant, newest first.
SELECT q.generation, q.recipe, coalesce(g.started_at, g.received_at) AS run_started_at, q.previous, q.lists,
       q.empty, q.listed_items, q.catalogue_items,
       q.listed_items::float8 / nullif(q.catalogue_items, 0) AS catalogue_share, q.gini, q.popularity_lift,
       q.compared, q.changed_share, q.rank_overlap, q.measured_at,
       EXISTS (
           SELECT FROM active a WHERE a.tenant = g.tenant AND a.recipe = q.recipe AND a.generation = q.generation
       ) AS active
FROM list_quality q JOIN generations g USING (generation)
WHERE g.tenant = :tenant AND q.generation IN (
    SELECT generation FROM generations
    WHERE tenant = :tenant AND EXISTS (SELECT FROM list_quality each WHERE each.generation = generations.generation)
    ORDER BY generation DESC LIMIT :limit
)
ORDER BY q.generation DESC, q.recipe;
