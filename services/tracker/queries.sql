-- add_interactions --
-- Insert new events and count them by type; return the positions of events whose ids are already stored. Events of
-- erased users are left out if they happened or were received before the erasure was requested.
WITH batch AS (
    SELECT *
    FROM unnest(
        :tenant::text[], :event_id::text[], :user_id::text[], :session_id::text[], :event_type::text[],
        :sender_type::text[], :item_id::text[], :value::float8[], :quantity::float8[], :price::float8[],
        :order_id::text[], :recommendation_id::text[], :impression::jsonb[], :attribution_source::text[],
        :properties::jsonb[], :city::text[], :province::text[], :country::text[], :source::text[],
        :occurred_at::timestamptz[], :received_at::timestamptz[], :historical::boolean[],
        :withheld::text[], :fingerprint::bigint[]
    ) WITH ORDINALITY AS event (
        tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
        order_id, recommendation_id, impression, attribution_source, properties, city, province, country,
        source, occurred_at, received_at, historical, withheld, fingerprint, place
    )
    WHERE NOT EXISTS (
        SELECT FROM erased_subjects AS erased
        WHERE erased.tenant = event.tenant AND erased.subject = coalesce(event.user_id, event.session_id)
          AND least(event.occurred_at, event.received_at) <= erased.erased_at
    )
), inserted AS (
    INSERT INTO interactions (
        tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
        order_id, recommendation_id, impression, attribution_source, properties, city, province, country,
        source, occurred_at, received_at, historical, withheld, fingerprint
    )
    SELECT tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
        order_id, recommendation_id,
        CASE WHEN impression IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(impression)) END,
        attribution_source, properties, city, province, country, source, occurred_at, received_at,
        historical, withheld, fingerprint
    FROM batch
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
SELECT batch.place
FROM batch
LEFT JOIN inserted USING (tenant, event_id)
WHERE inserted.event_id IS NULL;

-- apply_orders --
-- Apply order lines whose ids are already stored. A claim of the same line, user and day is confirmed, and its
-- missing fields are filled; any other claim is stored as a conflict, and the order line replaces it. The counts of
-- both event types are updated.
WITH batch AS (
    SELECT *
    FROM unnest(
        :tenant::text[], :event_id::text[], :user_id::text[], :session_id::text[], :event_type::text[],
        :sender_type::text[], :item_id::text[], :value::float8[], :quantity::float8[], :price::float8[],
        :order_id::text[], :recommendation_id::text[], :impression::jsonb[], :attribution_source::text[],
        :properties::jsonb[], :city::text[], :province::text[], :country::text[], :source::text[],
        :occurred_at::timestamptz[], :received_at::timestamptz[], :historical::boolean[],
        :withheld::text[], :fingerprint::bigint[]
    ) AS event (
        tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
        order_id, recommendation_id, impression, attribution_source, properties, city, province, country,
        source, occurred_at, received_at, historical, withheld, fingerprint
    )
), claims AS MATERIALIZED (
    SELECT claim.*,
        claim.event_type = batch.event_type
            AND claim.item_id IS NOT DISTINCT FROM batch.item_id
            AND claim.order_id IS NOT DISTINCT FROM batch.order_id
            AND coalesce(claim.quantity = batch.quantity, true)
            AND coalesce(claim.price = batch.price, true)
            AND coalesce(claim.user_id = batch.user_id, true)
            AND claim.occurred_at BETWEEN batch.occurred_at - interval '1 day'
                AND batch.occurred_at + interval '1 day' AS agrees
    FROM interactions AS claim
    JOIN batch USING (tenant, event_id)
    WHERE claim.source <> 'order' AND NOT claim.confirmed
    FOR UPDATE OF claim
), completed AS (
    UPDATE interactions AS kept
    SET confirmed = true,
        -- The shop's order counts, whoever claimed it before.
        withheld = NULL,
        user_id = coalesce(kept.user_id, batch.user_id),
        -- Only the browser knows which user a session belongs to.
        session_id = CASE WHEN kept.user_id IS NULL AND batch.user_id IS NOT NULL THEN NULL
            ELSE kept.session_id END,
        quantity = coalesce(batch.quantity, kept.quantity),
        price = coalesce(batch.price, kept.price),
        fingerprint = CASE WHEN batch.quantity IS NULL OR batch.price IS NULL THEN kept.fingerprint
            ELSE batch.fingerprint END,
        city = coalesce(batch.city, kept.city),
        province = coalesce(batch.province, kept.province),
        country = coalesce(batch.country, kept.country)
    FROM claims JOIN batch USING (tenant, event_id)
    WHERE claims.agrees AND kept.tenant = claims.tenant AND kept.event_id = claims.event_id
    RETURNING kept.event_id
), replaced AS (
    UPDATE interactions AS kept
    SET user_id = batch.user_id, session_id = batch.session_id, event_type = batch.event_type,
        sender_type = batch.sender_type, item_id = batch.item_id, value = batch.value,
        quantity = batch.quantity, price = batch.price, order_id = batch.order_id,
        recommendation_id = batch.recommendation_id, impression = NULL,
        attribution_source = batch.attribution_source, properties = batch.properties, city = batch.city,
        province = batch.province, country = batch.country, source = batch.source,
        occurred_at = batch.occurred_at, received_at = batch.received_at, historical = batch.historical,
        withheld = batch.withheld, fingerprint = batch.fingerprint, confirmed = true, stored_at = now()
    FROM claims JOIN batch USING (tenant, event_id)
    WHERE NOT claims.agrees AND kept.tenant = claims.tenant AND kept.event_id = claims.event_id
    RETURNING kept.tenant, kept.event_id, kept.event_type
), added AS (
    INSERT INTO event_conflicts (tenant, event_id, fingerprint, event, kept)
    SELECT tenant, event_id, content_hash(event), event, 'order'
    FROM (
        SELECT tenant, event_id,
            jsonb_strip_nulls(to_jsonb(claims) - 'fingerprint' - 'stored_at' - 'confirmed' - 'agrees') AS event
        FROM claims
        WHERE NOT agrees
    ) AS conflicts
    ON CONFLICT DO NOTHING
), earlier AS (
    -- Claims stored as conflicts of the first claim: the log has not counted them, but other services may have.
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

-- save_line_states --
-- Store which order lines are returned, unless a higher revision of the order was stored before; return what holds.
WITH batch AS (
    SELECT * FROM unnest(:tenant::text[], :event_id::text[], :revision::int[], :returned::boolean[])
        AS line (tenant, event_id, revision, returned)
), saved AS (
    INSERT INTO returned_lines AS line (tenant, event_id, revision, returned)
    SELECT tenant, event_id, revision, returned FROM batch
    ON CONFLICT (tenant, event_id) DO UPDATE
    SET revision = excluded.revision, returned = excluded.returned, changed_at = now()
    WHERE line.revision <= excluded.revision
    RETURNING tenant, event_id, returned
)
SELECT tenant, event_id, returned FROM saved
UNION ALL
SELECT line.tenant, line.event_id, line.returned
FROM returned_lines AS line
JOIN batch USING (tenant, event_id)
WHERE NOT EXISTS (
    SELECT FROM saved WHERE saved.tenant = line.tenant AND saved.event_id = line.event_id
);

-- add_conflicts --
-- Store the events that differ from the stored event of the same id as conflicts. Return their positions, and whether
-- they contradict an order of the shop; for orders a missing field is not a difference.
WITH batch AS (
    SELECT * FROM unnest(
        :tenant::text[], :event_id::text[], :fingerprint::bigint[], :event::jsonb[], :user_id::text[],
        :source::text[], :occurred_at::timestamptz[]
    ) WITH ORDINALITY AS event (tenant, event_id, fingerprint, event, user_id, source, occurred_at, place)
), compared AS MATERIALIZED (
    SELECT batch.tenant, batch.event_id, batch.place, batch.event,
        batch.source <> 'order' AND (kept.source = 'order' OR kept.confirmed) AS is_of_order,
        (kept.fingerprint <> batch.fingerprint OR coalesce(kept.user_id <> batch.user_id, false))
            -- An order that has confirmed the claim, and lacks a field of it, does not differ.
            AND NOT (batch.source = 'order' AND kept.confirmed AND kept.source <> 'order') AS differs,
        NOT (
            kept.event_type = batch.event ->> 'event_type'
            AND kept.item_id IS NOT DISTINCT FROM batch.event ->> 'item_id'
            AND kept.order_id IS NOT DISTINCT FROM batch.event ->> 'order_id'
            AND coalesce(kept.quantity = (batch.event ->> 'quantity')::float8, true)
            AND coalesce(kept.price = (batch.event ->> 'price')::float8, true)
            AND coalesce(kept.user_id = batch.user_id, true)
            AND batch.occurred_at BETWEEN kept.occurred_at - interval '1 day'
                AND kept.occurred_at + interval '1 day'
        ) AS contradicts
    FROM batch
    JOIN interactions AS kept USING (tenant, event_id)
), conflicting AS MATERIALIZED (
    SELECT * FROM compared WHERE CASE WHEN is_of_order THEN contradicts ELSE differs END
), added AS (
    INSERT INTO event_conflicts (tenant, event_id, fingerprint, event, kept)
    SELECT DISTINCT ON (tenant, event_id, fingerprint) tenant, event_id, fingerprint, event, kept
    FROM (
        SELECT tenant, event_id, event, CASE WHEN is_of_order THEN 'order' ELSE 'first' END AS kept,
            content_hash(event) AS fingerprint
        FROM conflicting
    ) AS conflicts
    ON CONFLICT DO NOTHING
    RETURNING event_id
)
SELECT place, is_of_order, (SELECT count(*) FROM added) AS added FROM conflicting;

-- contradicted_claims --
-- Return the claims that order lines contradict, up to 100 per id.
SELECT line.tenant, line.event_id, claims.event
FROM unnest(:tenant::text[], :event_id::text[]) AS line (tenant, event_id)
CROSS JOIN LATERAL (
    SELECT event FROM event_conflicts AS conflict
    WHERE conflict.tenant = line.tenant AND conflict.event_id = line.event_id AND conflict.kept = 'order'
    ORDER BY conflict.noticed_at
    LIMIT 100
) AS claims;

-- events_by_id --
-- Return stored events by their ids.
SELECT kept.tenant, kept.event_id, kept.user_id, kept.session_id, kept.event_type, kept.sender_type, kept.item_id,
    kept.value, kept.quantity, kept.price, kept.order_id, kept.recommendation_id, kept.impression,
    kept.attribution_source, kept.properties, kept.city, kept.province, kept.country, kept.source, kept.occurred_at,
    kept.received_at, kept.historical
FROM interactions AS kept
JOIN unnest(:tenant::text[], :event_id::text[]) AS line (tenant, event_id) USING (tenant, event_id);

-- conflicts --
-- Return a tenant's newest events that differ from the stored event of the same id.
SELECT event_id, kept, noticed_at, event
FROM event_conflicts
WHERE tenant = :tenant
ORDER BY noticed_at DESC, event_id
LIMIT :limit;

-- events_of_user --
-- Return the newest events of a user.
SELECT event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price, order_id,
    recommendation_id, impression, properties, city, province, country, source, occurred_at, received_at,
    historical, withheld
FROM interactions
WHERE tenant = :tenant
  AND user_id = :user_id
ORDER BY occurred_at DESC, event_id
LIMIT :limit;

-- events_of_session --
-- Return the newest events of a session.
SELECT event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price, order_id,
    recommendation_id, impression, properties, city, province, country, source, occurred_at, received_at,
    historical, withheld
FROM interactions
WHERE tenant = :tenant
  AND session_id = :session_id
ORDER BY occurred_at DESC, event_id
LIMIT :limit;

-- events_stored_since --
-- Return the newest events that were stored after an instant.
SELECT event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price, order_id,
    recommendation_id, impression, properties, city, province, country, source, occurred_at, received_at,
    historical, withheld, stored_at
FROM interactions
WHERE tenant = :tenant
  AND stored_at > :since
ORDER BY stored_at DESC, event_id
LIMIT :limit;

-- counts --
-- Return the number of a tenant's events by type.
SELECT event_type, rows
FROM interaction_counts
WHERE tenant = :tenant
ORDER BY rows DESC, event_type;

-- tracker --
-- Return the tenant and the status of an event tracker.
SELECT tenant, status
FROM engine.trackers_v1
WHERE tracking_id = :tracking_id;

-- dataset_groups --
-- Return the tenants of an account, or one tenant, with the ARNs of their dataset groups.
SELECT tenant, dataset_group_arn
FROM engine.accounts_v1
WHERE tenant = :tenant
   OR account = :account;

-- dataset_schema --
-- Return the Avro schema of a tenant's dataset, and whether the trainer has created it.
SELECT schema, of_trainer
FROM engine.all_datasets_v1
WHERE tenant = :tenant
  AND dataset_type = :dataset_type;

-- sessions_of_user --
-- Return the sessions of a user.
SELECT DISTINCT session_id
FROM interactions
WHERE tenant = :tenant AND user_id = :user_id AND session_id IS NOT NULL;

-- add_erased_subjects --
-- Mark a user and the user's sessions as erased; return the row counts of earlier attempts.
INSERT INTO erased_subjects (tenant, subject, erasure_id, erased_at)
SELECT :tenant, subject, :erasure_id, :erased_at FROM unnest(:subjects::text[]) AS subject
ON CONFLICT (tenant, subject) DO UPDATE
SET erasure_id = excluded.erasure_id, erased_at = greatest(erased_subjects.erased_at, excluded.erased_at),
    rows = CASE WHEN erased_subjects.erasure_id = excluded.erasure_id THEN erased_subjects.rows ELSE '{}' END
RETURNING subject, rows;

-- save_erased_rows --
-- Store how many rows of a user were deleted.
UPDATE erased_subjects SET rows = :rows WHERE tenant = :tenant AND subject = :user_id;

-- delete_interactions --
-- Delete the events of a user, and those of the user's sessions before login; return how many.
WITH deleted AS (
    DELETE FROM interactions
    WHERE tenant = :tenant AND least(occurred_at, received_at) <= :erased_at
      AND (user_id = :user_id OR (user_id IS NULL AND session_id = ANY(:session_ids::text[])))
    RETURNING event_type
), counted AS (
    UPDATE interaction_counts AS counts SET rows = counts.rows - deleted_by_type.rows
    FROM (SELECT event_type, count(*) AS rows FROM deleted GROUP BY event_type) AS deleted_by_type
    WHERE counts.tenant = :tenant AND counts.event_type = deleted_by_type.event_type
)
SELECT count(*) FROM deleted;

-- delete_conflicts --
-- Delete the conflicts of a user, and those of the user's sessions before login; return how many.
WITH deleted AS (
    DELETE FROM event_conflicts
    WHERE tenant = :tenant
      AND least((event ->> 'occurred_at')::timestamptz, (event ->> 'received_at')::timestamptz) <= :erased_at
      AND (
          event ->> 'user_id' = :user_id
          OR (event ->> 'user_id' IS NULL AND event ->> 'session_id' = ANY(:session_ids::text[]))
      )
    RETURNING event_id
)
SELECT count(*) FROM deleted;

-- delete_old_events --
-- Delete up to a number of events that happened before a time, and correct the counts; return how many.
WITH old AS (
    SELECT interactions.tenant, interactions.event_id
    FROM (SELECT DISTINCT tenant FROM interaction_counts) AS tenants
    JOIN interactions ON interactions.tenant = tenants.tenant AND interactions.occurred_at < :before
    LIMIT :rows
), deleted AS (
    DELETE FROM interactions USING old
    WHERE interactions.tenant = old.tenant AND interactions.event_id = old.event_id
    RETURNING interactions.tenant, interactions.event_type
), counted AS (
    UPDATE interaction_counts AS counts SET rows = counts.rows - gone.rows
    FROM (SELECT tenant, event_type, count(*) AS rows FROM deleted GROUP BY tenant, event_type) AS gone
    WHERE counts.tenant = gone.tenant AND counts.event_type = gone.event_type
)
SELECT count(*) FROM deleted;

-- delete_old_conflicts --
-- Delete the conflicts that were noticed before a time; return how many.
WITH deleted AS (DELETE FROM event_conflicts WHERE noticed_at < :before RETURNING event_id)
SELECT count(*) FROM deleted;

-- lock_log --
-- Wait for batches that are being stored, and block new ones until the erasure is committed.
LOCK TABLE interactions IN SHARE ROW EXCLUSIVE MODE;

-- catalogue_quota --
-- Return the number of items or users of a tenant and its limit; no row before sync has stored any.
SELECT rows, most FROM sync.catalogue_rooms_v1 WHERE tenant = :tenant AND kind = :kind;

-- known_items --
-- Return how many of the items exist.
SELECT count(*) FROM sync.items_v1 WHERE tenant = :tenant AND item_id = ANY(:ids::text[]);

-- known_users --
-- Return how many of the users exist.
SELECT count(*) FROM sync.users_v1 WHERE tenant = :tenant AND user_id = ANY(:ids::text[]);

-- intake_rules --
-- Return the rules of intake of a tenant.
SELECT rules FROM intake_rules WHERE tenant = :tenant;

-- save_intake_rules --
-- Store the rules of intake of a tenant.
INSERT INTO intake_rules (tenant, rules) VALUES (:tenant, :rules)
ON CONFLICT (tenant) DO UPDATE SET rules = excluded.rules, changed_at = now();
