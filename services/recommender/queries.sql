-- ping --
-- Postgres answers.
SELECT 1 AS pong;

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

-- overlaid_list --
-- One list of the overlay of a generation.
SELECT items
FROM loader.lists_v1
WHERE tenant = :tenant AND generation = :generation AND recipe = :recipe AND id = :id;

-- active --
-- The active generation and overlay of each recipe of every tenant, and the tenant's last activation: number and time.
SELECT
    tenant,
    max(activation) AS activation,
    jsonb_object_agg(recipe, generation) AS generations,
    extract(epoch FROM max(activated_at))::float8 AS activated_at,
    coalesce(
        jsonb_object_agg(
            recipe, jsonb_build_object('generation', overlay, 'as_of', extract(epoch FROM overlay_as_of)::float8)
        ) FILTER (WHERE overlay IS NOT NULL),
        '{}'
    ) AS overlays
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

-- has_generation --
-- Whether a tenant has lists of a generation.
SELECT EXISTS (SELECT FROM loader.lists_v1 WHERE tenant = :tenant AND generation = :generation);

-- experiments --
-- Running experiments, and recently stopped ones, which a process may still believe to be running.
SELECT tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at, layer, unit,
    design, trigger_share, forced, disabled, revision
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
    event_id,
    extract(epoch FROM least(occurred_at, received_at))::float8 AS happened_by
FROM tracker.interactions_v1
WHERE occurred_at >= :since AND received_at >= :received_since
  AND (item_id IS NOT NULL OR (user_id IS NOT NULL AND session_id IS NOT NULL))
ORDER BY occurred_at;

-- erased_subjects_after --
-- A page of the users and sessions that were erased since a time, from which the marks of erasures are set again.
SELECT tenant, subject, extract(epoch FROM erased_at)::float8 AS erased_at
FROM tracker.erased_subjects_v1
WHERE (tenant, subject) > (:tenant, :subject) AND erased_at >= :since
ORDER BY tenant, subject
LIMIT :page_size;

-- sessions_of_user --
-- The newest sessions of a user.
SELECT session_id
FROM tracker.interactions_v1
WHERE tenant = :tenant AND user_id = :user_id AND session_id IS NOT NULL AND session_id <> user_id
GROUP BY session_id
ORDER BY max(occurred_at) DESC
LIMIT :limit;

-- users_since --
-- A page of the users changed since a time, after the last user of the previous page.
SELECT tenant, user_id, name, city, province, country, attributes
FROM sync.users_v1
WHERE (tenant, user_id) > (:tenant, :user_id) AND updated_at >= :since
ORDER BY tenant, user_id
LIMIT :page_size;

-- put_override --
-- Put an override of a user and notify the serving processes; no row if the user has too many others.
INSERT INTO overrides AS known (tenant, user_id, item_id, score, category, expires_at)
SELECT :tenant, :user_id, :item_id, :score::float8, :category::text, now() + :lifetime::interval
WHERE (
    SELECT count(*)
    FROM overrides
    WHERE tenant = :tenant AND user_id = :user_id AND item_id <> :item_id AND expires_at > now()
) < :most::int
ON CONFLICT (tenant, user_id, item_id) DO UPDATE SET
    score = excluded.score,
    category = excluded.category,
    recorded_at = now(),
    expires_at = excluded.expires_at,
    -- A new number: that of `excluded` was drawn before another put of the row had ended.
    version = nextval('override_versions'),
    copied = false
RETURNING
    tenant,
    user_id,
    item_id,
    score,
    category,
    recorded_at,
    expires_at,
    version,
    pg_notify(current_schema(), 'overrides');

-- mark_copied --
-- Remember that Redis has these versions; returns those that are still current.
UPDATE overrides SET copied = true WHERE version = ANY(:versions::bigint[]) RETURNING version;

-- uncopied_overrides --
-- The oldest overrides that are not in Redis yet.
SELECT tenant, user_id, item_id, score, category, recorded_at, expires_at, version
FROM overrides
WHERE NOT copied
ORDER BY version
LIMIT :page_size;

-- overrides_after --
-- A page of the overrides that have not expired, after a version.
SELECT tenant, user_id, item_id, score, category, recorded_at, expires_at, version
FROM overrides
WHERE version > :version AND expires_at > now()
ORDER BY version
LIMIT :page_size;

-- overrides_of_user --
-- The overrides of one user that have not expired.
SELECT tenant, user_id, item_id, score, category, recorded_at, expires_at, version
FROM overrides
WHERE tenant = :tenant AND user_id = :user_id AND expires_at > now();

-- overrides_by_tenant --
-- The number of overrides of every tenant that has any.
SELECT tenant, count(*) AS overrides
FROM overrides
WHERE expires_at > now()
GROUP BY tenant;

-- newest_override --
-- The highest version so far.
SELECT coalesce(max(version), 0) FROM overrides;

-- delete_expired_overrides --
-- Delete overrides that have expired.
DELETE FROM overrides WHERE expires_at <= now();

-- erase_overrides --
-- Delete the overrides of a user; returns a row for each.
DELETE FROM overrides WHERE tenant = :tenant AND user_id = :user_id RETURNING item_id;

-- customers_of_place --
-- Users of a place, the most recently changed first.
SELECT user_id, name, city, province
FROM sync.users_v1
WHERE tenant = :tenant
  AND (CAST(:city AS text) IS NULL OR lower(city) = lower(:city))
  AND (CAST(:province AS text) IS NULL OR lower(province) = lower(:province))
  AND (CAST(:country AS text) IS NULL OR lower(country) = lower(:country))
ORDER BY updated_at DESC, user_id
LIMIT :limit;

-- customers_of_segment --
-- Users by the days since their last purchase, the number of their orders and their spending.
WITH buyers AS (
    SELECT
        user_id,
        count(DISTINCT coalesce(order_id, event_id)) AS orders,
        sum(coalesce(value, price * coalesce(quantity, 1), 0)) AS spent,
        extract(epoch FROM now() - max(occurred_at)) / 86400 AS days
    FROM tracker.interactions_v1
    WHERE tenant = :tenant AND event_type = 'purchase' AND user_id IS NOT NULL
    GROUP BY user_id
)
SELECT buyers.user_id, users.name, users.city, users.province
FROM buyers
LEFT JOIN sync.users_v1 AS users ON users.tenant = :tenant AND users.user_id = buyers.user_id
WHERE buyers.orders >= :min_orders
  AND (CAST(:max_orders AS bigint) IS NULL OR buyers.orders <= :max_orders)
  AND (CAST(:min_days AS int) IS NULL OR buyers.days >= :min_days)
  AND (CAST(:max_days AS int) IS NULL OR buyers.days <= :max_days)
  AND (CAST(:min_spent AS float8) IS NULL OR buyers.spent >= :min_spent)
  AND (CAST(:city AS text) IS NULL OR lower(users.city) = lower(:city))
  AND (CAST(:province AS text) IS NULL OR lower(users.province) = lower(:province))
  AND (CAST(:country AS text) IS NULL OR lower(users.country) = lower(:country))
ORDER BY buyers.spent DESC, buyers.user_id
LIMIT :limit;

-- customer_by_contact --
-- The user with a telephone number or an e-mail address: in the id, before an underscore, or in an attribute.
SELECT user_id
FROM sync.users_v1
WHERE tenant = :tenant
  AND (
    user_id = :phone
    OR starts_with(user_id, CAST(:phone AS text) || '_')
    OR attributes ->> 'phone' = :phone
    OR user_id = :email
    OR lower(attributes ->> 'email') = lower(:email)
  )
ORDER BY updated_at DESC
LIMIT 1;
