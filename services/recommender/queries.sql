-- list_with_purchases --
-- One list of a generation, with the purchases of a subject since a time and its location.
SELECT
    (
        SELECT items
        FROM loader.lists_v1
        WHERE tenant = :tenant AND generation = :generation AND recipe = :recipe AND id = :id
    ) AS items,
    ARRAY(
        SELECT DISTINCT item_id
        FROM tracker.interactions_v1
        WHERE tenant = :tenant
          AND (user_id = :subject OR (user_id IS NULL AND session_id = :subject))
          AND event_type = 'purchase'
          AND item_id IS NOT NULL
          AND occurred_at >= :since
    ) AS purchased,
    (
        SELECT jsonb_build_array(city, province, country)
        FROM sync.users_v1
        WHERE tenant = :tenant AND user_id = :subject
    ) AS location;

-- active --
-- The active generation of each recipe of every tenant, and the highest activation number of the tenant.
SELECT tenant, max(activation) AS activation, jsonb_object_agg(recipe, generation) AS generations
FROM loader.active_v1
GROUP BY tenant;

-- items --
-- The items of every tenant, read while Kafka is unavailable.
SELECT tenant, item_id, name, category, price, currency, available, created_at, attributes, updated_at
FROM sync.items_v1;

-- campaigns --
-- Every campaign with a model, read while Kafka is unavailable and for unknown names.
SELECT tenant, name, arn, status, recipe, solution_version_arn, model_uri, model_sha256, config, traits
FROM engine.campaigns_v1
WHERE model_uri IS NOT NULL;

-- filters --
-- Every filter, read while Kafka is unavailable and for unknown names.
SELECT tenant, name, expression
FROM engine.filters_v1;

-- placements --
-- Every placement, read while Kafka is unavailable and for unknown names.
SELECT tenant, name, revision, definition
FROM engine.placements_v1;

-- experiments --
-- Running experiments, and recently stopped ones, which a process may still believe to be running.
SELECT tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM router.experiments_v1
WHERE status = 'running' OR stopped_at > now() - interval '1 day';

-- tenants_of_account --
-- The tenants of an account.
SELECT array_agg(tenant ORDER BY tenant) AS tenants
FROM engine.accounts_v1
WHERE account = :account;

-- user_properties --
-- The fields and attributes of one user.
SELECT name, city, province, country, attributes
FROM sync.users_v1
WHERE tenant = :tenant AND user_id = :user_id;

-- recent_events --
-- The last events of a subject with an item since a time, newest first.
SELECT item_id, event_type, extract(epoch FROM occurred_at)::float8 AS seconds
FROM tracker.interactions_v1
WHERE tenant = :tenant
  AND (user_id = :subject OR (user_id IS NULL AND session_id = :subject))
  AND item_id IS NOT NULL
  AND occurred_at >= :since
ORDER BY occurred_at DESC
LIMIT 100;

-- events_since --
-- Interactions and logins since a time that were received since another, from which histories are refilled.
SELECT
    tenant,
    user_id,
    session_id,
    item_id,
    event_type,
    round(extract(epoch FROM occurred_at), 3)::float8 AS seconds,
    event_id
FROM tracker.interactions_v1
WHERE occurred_at >= :since AND received_at >= :received_since
  AND (item_id IS NOT NULL OR (user_id IS NOT NULL AND session_id IS NOT NULL))
ORDER BY occurred_at;

-- users_since --
-- A page of the users changed since a time, after the last user of the previous page.
SELECT tenant, user_id, name, city, province, country, attributes
FROM sync.users_v1
WHERE (tenant, user_id) > (:tenant, :user_id) AND updated_at >= :since
ORDER BY tenant, user_id
LIMIT :page_size;
