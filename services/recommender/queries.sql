-- listed --
-- One list of a generation, what the subject bought since a time, and where it lives: one round trip.
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
    ) AS bought,
    (
        SELECT jsonb_build_array(city, province, country)
        FROM sync.users_v1
        WHERE tenant = :tenant AND user_id = :subject
    ) AS place;

-- active --
-- What every tenant serves, as one pointer each.
SELECT tenant, max(activation) AS activation, jsonb_object_agg(recipe, generation) AS generations
FROM loader.active_v1
GROUP BY tenant;

-- items --
-- The whole catalogue of every tenant, for as long as Kafka is away.
SELECT tenant, item_id, name, category, price, currency, available, created_at, attributes, updated_at
FROM sync.items_v1;

-- campaigns --
-- Every campaign, for as long as Kafka is away.
SELECT tenant, name, arn, status, recipe, solution_version_arn, model_uri, model_sha256, config
FROM engine.campaigns_v1
WHERE model_uri IS NOT NULL;

-- filters --
-- Every filter, for as long as Kafka is away.
SELECT tenant, name, expression
FROM engine.filters_v1;

-- user_facts --
-- What the shop says of one user.
SELECT name, city, province, country, attributes
FROM sync.users_v1
WHERE tenant = :tenant AND user_id = :user_id;

-- recent --
-- A subject's last events with an item, newest first, when Redis does not have them.
SELECT item_id, event_type, extract(epoch FROM occurred_at)::float8 AS seconds
FROM tracker.interactions_v1
WHERE tenant = :tenant
  AND (user_id = :subject OR (user_id IS NULL AND session_id = :subject))
  AND item_id IS NOT NULL
  AND occurred_at >= :since
ORDER BY occurred_at DESC
LIMIT 100;

-- since --
-- Interactions since a time that were received since another, and logins, from which histories are made anew.
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
-- A page of the users whose state changed since a time, after the last user of the page before.
SELECT tenant, user_id, name, city, province, country, attributes
FROM sync.users_v1
WHERE (tenant, user_id) > (:tenant, :user_id) AND updated_at >= :since
ORDER BY tenant, user_id
LIMIT :most;
