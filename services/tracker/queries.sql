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
    WHERE NOT EXISTS (
        SELECT FROM erased_subjects AS erased
        WHERE erased.tenant = one.tenant AND erased.subject = coalesce(one.user_id, one.session_id)
          AND one.occurred_at <= erased.erased_at
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
    -- What was claimed beside the first claim: the log has not counted it, others may have.
    UPDATE event_conflicts AS conflict SET kept = 'order'
    FROM claims
    WHERE conflict.tenant = claims.tenant AND conflict.event_id = claims.event_id
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
-- The Avro schema of a tenant's dataset, and whether the trainer has made it for itself.
SELECT schema, of_trainer
FROM engine.all_datasets_v1
WHERE tenant = :tenant
  AND dataset_type = :dataset_type;

-- sessions_of --
-- The sessions of a user.
SELECT DISTINCT session_id
FROM interactions
WHERE tenant = :tenant AND user_id = :user_id AND session_id IS NOT NULL;

-- add_erased_subjects --
-- Nothing of a user and their sessions that happened before may be kept; gives what was counted before.
INSERT INTO erased_subjects (tenant, subject, erasure_id, erased_at)
SELECT :tenant, subject, :erasure_id, :erased_at FROM unnest(:subjects::text[]) AS subject
ON CONFLICT (tenant, subject) DO UPDATE
SET erasure_id = excluded.erasure_id, erased_at = greatest(erased_subjects.erased_at, excluded.erased_at),
    rows = CASE WHEN erased_subjects.erasure_id = excluded.erasure_id THEN erased_subjects.rows ELSE '{}' END
RETURNING subject, rows;

-- count_erased --
-- What went of a user.
UPDATE erased_subjects SET rows = :rows WHERE tenant = :tenant AND subject = :user_id;

-- delete_interactions --
-- The events of a user, and those of the user's sessions before they were known to be the user's.
WITH gone AS (
    DELETE FROM interactions
    WHERE tenant = :tenant AND occurred_at <= :erased_at
      AND (user_id = :user_id OR (user_id IS NULL AND session_id = ANY(:session_ids::text[])))
    RETURNING event_type
), counted AS (
    UPDATE interaction_counts AS counts SET rows = counts.rows - less.rows
    FROM (SELECT event_type, count(*) AS rows FROM gone GROUP BY event_type) AS less
    WHERE counts.tenant = :tenant AND counts.event_type = less.event_type
)
SELECT count(*) FROM gone;

-- delete_conflicts --
-- The same for events that came under ids of other events.
WITH gone AS (
    DELETE FROM event_conflicts
    WHERE tenant = :tenant
      AND (event ->> 'occurred_at')::timestamptz <= :erased_at
      AND (
          event ->> 'user_id' = :user_id
          OR (event ->> 'user_id' IS NULL AND event ->> 'session_id' = ANY(:session_ids::text[]))
      )
    RETURNING event_id
)
SELECT count(*) FROM gone;

-- lock_log --
-- Wait for batches that are being stored, and let no other begin until the erasure is there to be seen.
LOCK TABLE interactions IN SHARE ROW EXCLUSIVE MODE;

-- catalogue_room --
-- How many items or users a tenant has, and may have; nothing where sync knows none yet.
SELECT rows, most FROM sync.catalogue_rooms_v1 WHERE tenant = :tenant AND kind = :kind;

-- known_items --
-- How many of the items are known.
SELECT count(*) FROM sync.items_v1 WHERE tenant = :tenant AND item_id = ANY(:ids::text[]);

-- known_users --
-- How many of the users are known.
SELECT count(*) FROM sync.users_v1 WHERE tenant = :tenant AND user_id = ANY(:ids::text[]);
