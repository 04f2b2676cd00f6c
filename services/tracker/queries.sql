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

-- settle_claims --
-- Lines of the shop's orders whose ids were there before: a claim of the same line, user and day is confirmed, and
-- completed by what it leaves open; any other claim is noted, and the line takes its place with the counts of both
-- types.
WITH given AS (
    SELECT *
    FROM unnest(
        :tenant::text[], :event_id::text[], :user_id::text[], :session_id::text[], :event_type::text[],
        :sender_type::text[], :item_id::text[], :value::float8[], :quantity::float8[], :price::float8[],
        :order_id::text[], :recommendation_id::text[], :impression::jsonb[], :attribution_source::text[],
        :properties::jsonb[], :city::text[], :province::text[], :country::text[], :source::text[],
        :occurred_at::timestamptz[], :received_at::timestamptz[], :historical::boolean[],
        :fingerprint::bigint[]
    ) AS one (
        tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
        order_id, recommendation_id, impression, attribution_source, properties, city, province, country,
        source, occurred_at, received_at, historical, fingerprint
    )
), claims AS MATERIALIZED (
    SELECT claim.*,
        claim.event_type = given.event_type
            AND claim.item_id IS NOT DISTINCT FROM given.item_id
            AND claim.order_id IS NOT DISTINCT FROM given.order_id
            AND coalesce(claim.quantity = given.quantity, true)
            AND coalesce(claim.price = given.price, true)
            AND coalesce(claim.user_id = given.user_id, true)
            AND claim.occurred_at BETWEEN given.occurred_at - interval '1 day'
                AND given.occurred_at + interval '1 day' AS agrees
    FROM interactions AS claim
    JOIN given USING (tenant, event_id)
    WHERE claim.source <> 'order' AND NOT claim.confirmed
    FOR UPDATE OF claim
), completed AS (
    UPDATE interactions AS kept
    SET confirmed = true,
        user_id = coalesce(kept.user_id, given.user_id),
        -- Nobody but the browser says that the session is the user's.
        session_id = CASE WHEN kept.user_id IS NULL AND given.user_id IS NOT NULL THEN NULL
            ELSE kept.session_id END,
        quantity = coalesce(given.quantity, kept.quantity),
        price = coalesce(given.price, kept.price),
        fingerprint = CASE WHEN given.quantity IS NULL OR given.price IS NULL THEN kept.fingerprint
            ELSE given.fingerprint END,
        city = coalesce(given.city, kept.city),
        province = coalesce(given.province, kept.province),
        country = coalesce(given.country, kept.country)
    FROM claims JOIN given USING (tenant, event_id)
    WHERE claims.agrees AND kept.tenant = claims.tenant AND kept.event_id = claims.event_id
    RETURNING kept.event_id
), replaced AS (
    UPDATE interactions AS kept
    SET user_id = given.user_id, session_id = given.session_id, event_type = given.event_type,
        sender_type = given.sender_type, item_id = given.item_id, value = given.value,
        quantity = given.quantity, price = given.price, order_id = given.order_id,
        recommendation_id = given.recommendation_id, impression = NULL,
        attribution_source = given.attribution_source, properties = given.properties, city = given.city,
        province = given.province, country = given.country, source = given.source,
        occurred_at = given.occurred_at, received_at = given.received_at, historical = given.historical,
        fingerprint = given.fingerprint, confirmed = true, stored_at = now()
    FROM claims JOIN given USING (tenant, event_id)
    WHERE NOT claims.agrees AND kept.tenant = claims.tenant AND kept.event_id = claims.event_id
    RETURNING kept.tenant, kept.event_id, kept.event_type
), noted AS (
    INSERT INTO event_conflicts (tenant, event_id, fingerprint, event, kept)
    SELECT tenant, event_id, content_hash(event), event, 'order'
    FROM (
        SELECT tenant, event_id,
            jsonb_strip_nulls(to_jsonb(claims) - 'fingerprint' - 'stored_at' - 'confirmed' - 'agrees') AS event
        FROM claims
        WHERE NOT agrees
    ) AS said
    ON CONFLICT DO NOTHING
), earlier AS (
    -- What was claimed beside the first claim, and has not counted in the log.
    UPDATE event_conflicts AS conflict SET kept = 'order'
    FROM replaced
    WHERE conflict.tenant = replaced.tenant AND conflict.event_id = replaced.event_id
      AND conflict.event ->> 'source' <> 'order'
), counted AS (
    INSERT INTO interaction_counts AS counts (tenant, event_type, rows)
    SELECT tenant, event_type, sum(change)
    FROM (
        SELECT tenant, event_type, 1 AS change FROM replaced
        UNION ALL
        SELECT tenant, event_type, -1 FROM claims WHERE NOT agrees
    ) AS changes
    GROUP BY tenant, event_type
    HAVING sum(change) <> 0
    ORDER BY tenant, event_type
    ON CONFLICT (tenant, event_type) DO UPDATE SET rows = counts.rows + excluded.rows
)
SELECT (SELECT count(*) FROM completed) AS confirmed, (SELECT count(*) FROM replaced) AS replaced;

-- note_conflicts --
-- Of events whose ids were there before, note those that say something else than the one that is kept. Gives their
-- places, and whether the shop's order is what they contradict, which leaves open less than a claim does.
WITH given AS (
    SELECT * FROM unnest(
        :tenant::text[], :event_id::text[], :fingerprint::bigint[], :event::jsonb[], :user_id::text[],
        :source::text[], :occurred_at::timestamptz[]
    ) WITH ORDINALITY AS one (tenant, event_id, fingerprint, event, user_id, source, occurred_at, place)
), compared AS MATERIALIZED (
    SELECT given.tenant, given.event_id, given.place, given.event,
        given.source <> 'order' AND (kept.source = 'order' OR kept.confirmed) AS is_of_order,
        (kept.fingerprint <> given.fingerprint OR coalesce(kept.user_id <> given.user_id, false))
            -- An order has confirmed the claim, and leaves something open.
            AND NOT (given.source = 'order' AND kept.confirmed AND kept.source <> 'order') AS differs,
        NOT (
            kept.event_type = given.event ->> 'event_type'
            AND kept.item_id IS NOT DISTINCT FROM given.event ->> 'item_id'
            AND kept.order_id IS NOT DISTINCT FROM given.event ->> 'order_id'
            AND coalesce(kept.quantity = (given.event ->> 'quantity')::float8, true)
            AND coalesce(kept.price = (given.event ->> 'price')::float8, true)
            AND coalesce(kept.user_id = given.user_id, true)
            AND given.occurred_at BETWEEN kept.occurred_at - interval '1 day'
                AND kept.occurred_at + interval '1 day'
        ) AS contradicts
    FROM given
    JOIN interactions AS kept USING (tenant, event_id)
), contrary AS MATERIALIZED (
    SELECT * FROM compared WHERE CASE WHEN is_of_order THEN contradicts ELSE differs END
), noted AS (
    INSERT INTO event_conflicts (tenant, event_id, fingerprint, event, kept)
    SELECT DISTINCT ON (tenant, event_id, fingerprint) tenant, event_id, fingerprint, event, kept
    FROM (
        SELECT tenant, event_id, event, CASE WHEN is_of_order THEN 'order' ELSE 'first' END AS kept,
            content_hash(event) AS fingerprint
        FROM contrary
    ) AS said
    ON CONFLICT DO NOTHING
    RETURNING event_id
)
SELECT place, is_of_order, (SELECT count(*) FROM noted) AS noted FROM contrary;

-- claims_against --
-- What was claimed under the ids of order lines and does not hold; of each id the first hundred.
SELECT line.tenant, line.event_id, claims.event
FROM unnest(:tenant::text[], :event_id::text[]) AS line (tenant, event_id)
CROSS JOIN LATERAL (
    SELECT event FROM event_conflicts AS conflict
    WHERE conflict.tenant = line.tenant AND conflict.event_id = line.event_id AND conflict.kept = 'order'
    ORDER BY conflict.noticed_at
    LIMIT 100
) AS claims;

-- kept_events --
-- The rows of ids.
SELECT kept.tenant, kept.event_id, kept.user_id, kept.session_id, kept.event_type, kept.sender_type, kept.item_id,
    kept.value, kept.quantity, kept.price, kept.order_id, kept.recommendation_id, kept.impression,
    kept.attribution_source, kept.properties, kept.city, kept.province, kept.country, kept.source, kept.occurred_at,
    kept.received_at, kept.historical
FROM interactions AS kept
JOIN unnest(:tenant::text[], :event_id::text[]) AS line (tenant, event_id) USING (tenant, event_id);

-- conflicts --
-- The newest events of a tenant that say something else than what is kept under their ids.
SELECT event_id, kept, noticed_at, event
FROM event_conflicts
WHERE tenant = :tenant
ORDER BY noticed_at DESC, event_id
LIMIT :limit;

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
