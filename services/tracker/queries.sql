-- keep --
-- Insert events that are new and count them by type; gives the places of those that were there before.
WITH given AS (
    SELECT *
    FROM unnest(
        :tenant::text[], :event_id::text[], :user_id::text[], :session_id::text[], :event_type::text[],
        :sender_type::text[], :item_id::text[], :value::float8[], :quantity::float8[], :price::float8[],
        :order_id::text[], :recommendation_id::text[], :impression::jsonb[], :attribution_source::text[],
        :properties::jsonb[], :city::text[], :province::text[], :country::text[], :source::text[],
        :occurred_at::timestamptz[], :received_at::timestamptz[], :historical::boolean[],
        :fingerprint::bigint[]
    ) WITH ORDINALITY AS one (
        tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
        order_id, recommendation_id, impression, attribution_source, properties, city, province, country,
        source, occurred_at, received_at, historical, fingerprint, place
    )
), inserted AS (
    INSERT INTO interactions (
        tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
        order_id, recommendation_id, impression, attribution_source, properties, city, province, country,
        source, occurred_at, received_at, historical, fingerprint
    )
    SELECT tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
        order_id, recommendation_id,
        CASE WHEN impression IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(impression)) END,
        attribution_source, properties, city, province, country, source, occurred_at, received_at,
        historical, fingerprint
    FROM given
    ON CONFLICT DO NOTHING
    RETURNING tenant, event_id, event_type
), counted AS (
    INSERT INTO interaction_counts AS counts (tenant, event_type, rows)
    SELECT tenant, event_type, count(*)
    FROM inserted
    GROUP BY tenant, event_type
    ORDER BY tenant, event_type
    ON CONFLICT (tenant, event_type) DO UPDATE SET rows = counts.rows + excluded.rows
)
SELECT given.place
FROM given
LEFT JOIN inserted USING (tenant, event_id)
WHERE inserted.event_id IS NULL;

-- note_conflicts --
-- Of events whose ids were there before, note those that say something else than the one that is kept.
INSERT INTO event_conflicts (tenant, event_id, fingerprint, event)
SELECT one.tenant, one.event_id, one.fingerprint, one.event
FROM unnest(:tenant::text[], :event_id::text[], :fingerprint::bigint[], :event::jsonb[])
    AS one (tenant, event_id, fingerprint, event)
JOIN interactions AS kept USING (tenant, event_id)
WHERE kept.fingerprint <> one.fingerprint
ON CONFLICT DO NOTHING
RETURNING event_id;

-- events_of_user --
-- The newest events of a user.
SELECT event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price, order_id,
    recommendation_id, impression, properties, city, province, country, source, occurred_at, received_at,
    historical
FROM interactions
WHERE tenant = :tenant
  AND user_id = :user_id
ORDER BY occurred_at DESC, event_id
LIMIT :limit;

-- events_of_session --
-- The newest events of a session.
SELECT event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price, order_id,
    recommendation_id, impression, properties, city, province, country, source, occurred_at, received_at,
    historical
FROM interactions
WHERE tenant = :tenant
  AND session_id = :session_id
ORDER BY occurred_at DESC, event_id
LIMIT :limit;

-- counts --
-- How many events of each type a tenant has.
SELECT event_type, rows
FROM interaction_counts
WHERE tenant = :tenant
ORDER BY rows DESC, event_type;

-- tracker --
-- The tenant and the status of an event tracker.
SELECT tenant, status
FROM engine.trackers_v1
WHERE tracking_id = :tracking_id;

-- dataset_groups --
-- The tenants of an account, or one tenant, with the ARN of the dataset group that each is.
SELECT tenant, dataset_group_arn
FROM engine.accounts_v1
WHERE tenant = :tenant
   OR account = :account;

-- dataset_schema --
-- The Avro schema of a tenant's dataset.
SELECT schema
FROM engine.datasets_v1
WHERE tenant = :tenant
  AND dataset_type = :dataset_type;
