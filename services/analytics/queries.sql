-- lock_tenants --
-- Lock the figures of tenants until the end of the transaction, in one order, and return the time.
SELECT max(now) AS now FROM (
    SELECT pg_advisory_xact_lock(hashtext('analytics'), number), now() AS now FROM (
        SELECT DISTINCT hashtext(tenant) AS number FROM unnest(:tenants::text[]) AS tenant ORDER BY number
    ) AS numbers
) AS locked;

-- erased_among --
-- The erased ones of subjects.
SELECT DISTINCT erased.tenant, erased.subject, erased.erased_at
FROM unnest(:tenants::text[], :subjects::text[]) AS of_event (tenant, subject)
JOIN erased_subjects AS erased USING (tenant, subject);

-- add_series --
-- Add the series that do not exist.
INSERT INTO series (tenant, surface, placement, strategy, experiment, experiment_version, variant)
SELECT * FROM unnest(
    :tenants::text[], :surfaces::text[], :placements::text[], :strategies::text[], :experiments::text[],
    :versions::bigint[], :variants::text[]
)
ON CONFLICT DO NOTHING;

-- series_ids --
-- The ids of series, in the order of the parameters.
SELECT series.id
FROM unnest(
    :tenants::text[], :surfaces::text[], :placements::text[], :strategies::text[], :experiments::text[],
    :versions::bigint[], :variants::text[]
) WITH ORDINALITY AS wanted (tenant, surface, placement, strategy, experiment, version, variant, number)
JOIN series ON series.tenant = wanted.tenant AND series.surface = wanted.surface
    AND series.placement IS NOT DISTINCT FROM wanted.placement
    AND series.strategy IS NOT DISTINCT FROM wanted.strategy
    AND series.experiment IS NOT DISTINCT FROM wanted.experiment
    AND series.experiment_version IS NOT DISTINCT FROM wanted.version
    AND series.variant IS NOT DISTINCT FROM wanted.variant
ORDER BY wanted.number;

-- add_servings --
-- Add answers; return the ids of those that are new. `item_ids` and `item_series` are JSON arrays.
INSERT INTO servings (
    tenant, recommendation_id, served_at, series_id, item_ids, item_series, is_fallback, source
)
SELECT tenant, recommendation_id, served_at, series_id,
    ARRAY(SELECT jsonb_array_elements_text(items)),
    ARRAY(SELECT jsonb_array_elements_text(item_series)::integer),
    is_fallback, source
FROM unnest(
    :tenants::text[], :ids::text[], :times::timestamptz[], :series_ids::integer[], :item_ids::jsonb[],
    :item_series::jsonb[], :fallbacks::boolean[], :sources::text[]
) AS answer (tenant, recommendation_id, served_at, series_id, items, item_series, is_fallback, source)
ON CONFLICT DO NOTHING
RETURNING tenant, recommendation_id;

-- servings_by_id --
-- Answers with their bits.
SELECT tenant, recommendation_id, served_at, series_id, item_ids, item_series, is_fallback, source, seen, clicked,
    converted
FROM servings
JOIN unnest(:tenants::text[], :ids::text[]) AS wanted (tenant, recommendation_id) USING (tenant, recommendation_id);

-- set_bits --
-- Store the bits of answers.
UPDATE servings
SET seen = changed.seen, clicked = changed.clicked, converted = changed.converted
FROM unnest(:tenants::text[], :ids::text[], :seen::bytea[], :clicked::bytea[], :converted::bytea[])
    AS changed (tenant, recommendation_id, seen, clicked, converted)
WHERE servings.tenant = changed.tenant AND servings.recommendation_id = changed.recommendation_id;

-- add_early_marks --
-- Keep items that were seen or clicked in answers that are not known yet.
INSERT INTO early_marks AS kept (tenant, recommendation_id, item_id, clicked)
SELECT * FROM unnest(:tenants::text[], :ids::text[], :item_ids::text[], :clicked::boolean[])
ON CONFLICT (tenant, recommendation_id, item_id) DO UPDATE SET clicked = true
WHERE excluded.clicked AND NOT kept.clicked;

-- take_early_marks --
-- Delete and return the early marks of answers.
DELETE FROM early_marks
USING unnest(:tenants::text[], :ids::text[]) AS known (tenant, recommendation_id)
WHERE early_marks.tenant = known.tenant AND early_marks.recommendation_id = known.recommendation_id
RETURNING early_marks.tenant, early_marks.recommendation_id, early_marks.item_id, early_marks.clicked;

-- add_touches --
-- Add touches; one that exists is left as it is.
INSERT INTO touches (
    tenant, event_id, is_purchase, recommendation_id, item_id, user_id, session_id, occurred_at
)
SELECT * FROM unnest(
    :tenants::text[], :event_ids::text[], :purchases::boolean[], :ids::text[], :item_ids::text[], :user_ids::text[],
    :session_ids::text[], :times::timestamptz[]
)
ON CONFLICT DO NOTHING;

-- delete_own_touches --
-- Delete the touches that purchases themselves are.
DELETE FROM touches
USING unnest(:tenants::text[], :event_ids::text[]) AS purchase (tenant, event_id)
WHERE touches.tenant = purchase.tenant AND touches.event_id = purchase.event_id AND touches.is_purchase;

-- place_touches --
-- Set the position of touches of answers that are known, if it is not set yet; return these touches.
UPDATE touches
SET position = array_position(servings.item_ids, touches.item_id) - 1
FROM unnest(:tenants::text[], :ids::text[]) AS known (tenant, recommendation_id)
JOIN servings USING (tenant, recommendation_id)
WHERE touches.tenant = known.tenant AND touches.recommendation_id = known.recommendation_id
    AND touches.position IS NULL AND touches.item_id = ANY(servings.item_ids)
RETURNING touches.tenant, touches.user_id, touches.session_id, touches.item_id;

-- add_logins --
-- Add logins; return those that are new.
INSERT INTO logins AS kept (tenant, session_id, user_id, seen_at)
SELECT * FROM unnest(:tenants::text[], :session_ids::text[], :user_ids::text[], :times::timestamptz[])
ON CONFLICT (tenant, session_id, user_id) DO UPDATE SET seen_at = excluded.seen_at
WHERE kept.seen_at < excluded.seen_at - interval '1 day'
RETURNING tenant, session_id, user_id, xmax = 0 AS is_new;

-- purchases_of --
-- The purchases of persons, of an item if it is not null.
SELECT DISTINCT purchases.tenant, purchases.event_id
FROM unnest(:tenants::text[], :user_ids::text[], :session_ids::text[], :item_ids::text[])
    AS person (tenant, user_id, session_id, item_id)
CROSS JOIN LATERAL (
    SELECT users_of(person.tenant, person.user_id, person.session_id) AS users
) AS user_ids
CROSS JOIN LATERAL (
    SELECT sessions_of(person.tenant, users, person.user_id, person.session_id) AS sessions
) AS session_ids
JOIN purchases ON purchases.tenant = person.tenant AND (
    purchases.user_id = ANY(users) OR (purchases.user_id IS NULL AND purchases.session_id = ANY(sessions))
)
WHERE person.item_id IS NULL OR purchases.item_id = person.item_id;

-- purchases_by_id --
-- Purchases.
SELECT purchases.*
FROM purchases
JOIN unnest(:tenants::text[], :event_ids::text[]) AS wanted (tenant, event_id) USING (tenant, event_id);

-- put_purchases --
-- Store purchases, without what they are attributed to.
INSERT INTO purchases AS kept (
    tenant, event_id, claim, line, user_id, session_id, item_id, order_key, occurred_at, units, revenue,
    recommendation_id
)
SELECT * FROM unnest(
    :tenants::text[], :event_ids::text[], :claims::jsonb[], :lines::jsonb[], :user_ids::text[],
    :session_ids::text[], :item_ids::text[], :order_keys::uuid[], :times::timestamptz[], :units::numeric[],
    :revenues::numeric[], :ids::text[]
)
ON CONFLICT (tenant, event_id) DO UPDATE
SET claim = excluded.claim, line = excluded.line, user_id = excluded.user_id, session_id = excluded.session_id,
    item_id = excluded.item_id, order_key = excluded.order_key, occurred_at = excluded.occurred_at,
    units = excluded.units, revenue = excluded.revenue, recommendation_id = excluded.recommendation_id;

-- attributions --
-- The touch that each of these purchases is attributed to. `direction` is 1 for the last touch, -1 for the first.
SELECT purchases.tenant, purchases.event_id, purchases.occurred_at, purchases.units, purchases.revenue,
    purchases.attributed_to, purchases.attributed_position, purchases.attributed_series,
    purchases.attributed_item_series,
    touch.recommendation_id, touch.position, servings.series_id, servings.item_series[touch.position + 1] AS item_series
FROM purchases
JOIN unnest(:tenants::text[], :event_ids::text[]) AS wanted (tenant, event_id) USING (tenant, event_id)
CROSS JOIN LATERAL (
    SELECT users_of(purchases.tenant, purchases.user_id, purchases.session_id) AS users
) AS user_ids
CROSS JOIN LATERAL (
    SELECT sessions_of(purchases.tenant, users, purchases.user_id, purchases.session_id) AS sessions
) AS session_ids
LEFT JOIN LATERAL (
    SELECT touches.recommendation_id, touches.position
    FROM touches
    WHERE touches.tenant = purchases.tenant AND touches.item_id = purchases.item_id AND touches.position IS NOT NULL
        AND (touches.user_id = ANY(users) OR (touches.user_id IS NULL AND touches.session_id = ANY(sessions)))
        AND (NOT touches.is_purchase OR touches.event_id = purchases.event_id)
        AND touches.occurred_at <= purchases.occurred_at
        AND touches.occurred_at >= purchases.occurred_at - :attribution_window::interval
    ORDER BY (extract(epoch FROM touches.occurred_at) * :direction::integer) DESC, touches.is_purchase DESC,
        touches.event_id DESC
    LIMIT 1
) AS touch ON true
LEFT JOIN servings ON servings.tenant = purchases.tenant AND servings.recommendation_id = touch.recommendation_id
WHERE purchases.claim IS NOT NULL OR purchases.line IS NOT NULL;

-- set_attributions --
-- Store what purchases are attributed to.
UPDATE purchases
SET attributed_to = changed.recommendation_id, attributed_position = changed.position,
    attributed_series = changed.series_id, attributed_item_series = changed.item_series
FROM unnest(
    :tenants::text[], :event_ids::text[], :ids::text[], :positions::integer[], :series_ids::integer[],
    :item_series::integer[]
) AS changed (tenant, event_id, recommendation_id, position, series_id, item_series)
WHERE purchases.tenant = changed.tenant AND purchases.event_id = changed.event_id;

-- converted_positions --
-- The positions of items of answers that a purchase is attributed to.
SELECT DISTINCT purchases.tenant, purchases.attributed_to AS recommendation_id, purchases.attributed_position AS position
FROM purchases
JOIN unnest(:tenants::text[], :ids::text[]) AS wanted (tenant, recommendation_id)
    ON wanted.tenant = purchases.tenant AND wanted.recommendation_id = purchases.attributed_to;

-- order_hours --
-- The counted hour and the time of the first line of orders.
SELECT wanted.tenant, wanted.order_key, orders.hour, min(purchases.occurred_at) AS first_at
FROM unnest(:tenants::text[], :order_keys::uuid[]) AS wanted (tenant, order_key)
LEFT JOIN orders USING (tenant, order_key)
LEFT JOIN purchases USING (tenant, order_key)
GROUP BY wanted.tenant, wanted.order_key, orders.hour;

-- put_orders --
-- Store the counted hours of orders.
INSERT INTO orders (tenant, order_key, hour)
SELECT * FROM unnest(:tenants::text[], :order_keys::uuid[], :hours::timestamptz[])
ON CONFLICT (tenant, order_key) DO UPDATE SET hour = excluded.hour;

-- delete_orders --
-- Delete orders that have no lines.
DELETE FROM orders
USING unnest(:tenants::text[], :order_keys::uuid[]) AS gone (tenant, order_key)
WHERE orders.tenant = gone.tenant AND orders.order_key = gone.order_key;

-- count_events --
-- Add the digests of events, and return the number of new ones by hour and name.
WITH added AS (
    INSERT INTO counted_events (tenant, key, name, hour)
    SELECT * FROM unnest(:tenants::text[], :keys::uuid[], :names::text[], :hours::timestamptz[])
    ON CONFLICT DO NOTHING
    RETURNING tenant, name, hour
)
SELECT tenant, name, hour, count(*) AS rows FROM added GROUP BY tenant, name, hour;

-- add_visitors --
-- Add visitors of days, and return the changes of the numbers of active and of answered ones, and of both.
WITH seen AS (
    SELECT tenant, day, visitor, bool_or(is_active) AS is_active, bool_or(is_answered) AS is_answered
    FROM unnest(:tenants::text[], :days::timestamptz[], :visitors::uuid[], :active::boolean[], :answered::boolean[])
        AS visitor (tenant, day, visitor, is_active, is_answered)
    GROUP BY tenant, day, visitor
), before AS (
    SELECT visitors.* FROM visitors JOIN seen USING (tenant, day, visitor)
), stored AS (
    INSERT INTO visitors AS kept (tenant, day, visitor, is_active, is_answered)
    SELECT tenant, day, visitor, is_active, is_answered FROM seen
    ON CONFLICT (tenant, day, visitor) DO UPDATE
    SET is_active = kept.is_active OR excluded.is_active, is_answered = kept.is_answered OR excluded.is_answered
    WHERE (excluded.is_active AND NOT kept.is_active) OR (excluded.is_answered AND NOT kept.is_answered)
    RETURNING *
)
SELECT stored.tenant, stored.day,
    count(*) FILTER (WHERE before.visitor IS NULL) AS visitors,
    sum(stored.is_answered::integer - coalesce(before.is_answered::integer, 0)) AS answered
FROM stored LEFT JOIN before USING (tenant, day, visitor)
GROUP BY stored.tenant, stored.day;

-- add_answered_items --
-- Add items of answers by day, and return the number of new ones.
WITH added AS (
    INSERT INTO answered_items (tenant, day, item_id)
    SELECT * FROM unnest(:tenants::text[], :days::timestamptz[], :item_ids::text[])
    ON CONFLICT DO NOTHING
    RETURNING tenant, day
)
SELECT tenant, day, count(*) AS rows FROM added GROUP BY tenant, day;

-- add_freshness --
-- Store the newest times of tenants.
INSERT INTO freshness AS kept (
    tenant, newest_event_at, newest_purchase_at, newest_answer_at, newest_history_at, generation
)
SELECT * FROM unnest(
    :tenants::text[], :events::timestamptz[], :purchases::timestamptz[], :answers::timestamptz[],
    :histories::timestamptz[], :generations::bigint[]
)
ON CONFLICT (tenant) DO UPDATE
SET newest_event_at = greatest(kept.newest_event_at, excluded.newest_event_at),
    newest_purchase_at = greatest(kept.newest_purchase_at, excluded.newest_purchase_at),
    newest_answer_at = greatest(kept.newest_answer_at, excluded.newest_answer_at),
    newest_history_at = greatest(kept.newest_history_at, excluded.newest_history_at),
    generation = greatest(kept.generation, excluded.generation);

-- add_figures --
-- Add to the figures of hours and of their days.
INSERT INTO figures AS kept (
    tenant, grain, begins_at, series_id, answers, empty_answers, fallback_answers, items, seen_answers, impressions,
    clicked_answers, clicks, conversions, purchases, units, revenue
)
SELECT change.tenant, grain, date_trunc(grain, change.hour, 'UTC') AS begins_at, change.series_id, sum(answers),
    sum(empty_answers), sum(fallback_answers), sum(items), sum(seen_answers), sum(impressions), sum(clicked_answers),
    sum(clicks), sum(conversions), sum(purchases), sum(units), sum(revenue)
FROM unnest(
    :tenants::text[], :hours::timestamptz[], :series_ids::integer[], :answers::numeric[], :empty_answers::numeric[],
    :fallback_answers::numeric[], :items::numeric[], :seen_answers::numeric[], :impressions::numeric[],
    :clicked_answers::numeric[], :clicks::numeric[], :conversions::numeric[], :purchases::numeric[], :units::numeric[],
    :revenue::numeric[]
) AS change (
    tenant, hour, series_id, answers, empty_answers, fallback_answers, items, seen_answers, impressions,
    clicked_answers, clicks, conversions, purchases, units, revenue
)
CROSS JOIN unnest(ARRAY['hour', 'day']) AS grain
GROUP BY change.tenant, grain, date_trunc(grain, change.hour, 'UTC'), change.series_id
ON CONFLICT (tenant, grain, begins_at, series_id) DO UPDATE
SET answers = kept.answers + excluded.answers, empty_answers = kept.empty_answers + excluded.empty_answers,
    fallback_answers = kept.fallback_answers + excluded.fallback_answers, items = kept.items + excluded.items,
    seen_answers = kept.seen_answers + excluded.seen_answers, impressions = kept.impressions + excluded.impressions,
    clicked_answers = kept.clicked_answers + excluded.clicked_answers, clicks = kept.clicks + excluded.clicks,
    conversions = kept.conversions + excluded.conversions, purchases = kept.purchases + excluded.purchases,
    units = kept.units + excluded.units, revenue = kept.revenue + excluded.revenue;

-- add_measures --
-- Add to the measures of hours and of their days.
INSERT INTO measures AS kept (tenant, grain, begins_at, name, value)
SELECT change.tenant, grain, date_trunc(grain, change.hour, 'UTC'), change.name, sum(change.value)
FROM unnest(:tenants::text[], :hours::timestamptz[], :names::text[], :values::numeric[])
    AS change (tenant, hour, name, value)
CROSS JOIN unnest(ARRAY['hour', 'day']) AS grain
GROUP BY change.tenant, grain, date_trunc(grain, change.hour, 'UTC'), change.name
ON CONFLICT (tenant, grain, begins_at, name) DO UPDATE SET value = kept.value + excluded.value;

-- add_day_measures --
-- Add to measures that only days have.
INSERT INTO measures AS kept (tenant, grain, begins_at, name, value)
SELECT tenant, 'day', day, name, value
FROM unnest(:tenants::text[], :days::timestamptz[], :names::text[], :values::numeric[])
    AS change (tenant, day, name, value)
ON CONFLICT (tenant, grain, begins_at, name) DO UPDATE SET value = kept.value + excluded.value;

-- add_erased_subjects --
-- Mark a user and the user's sessions as erased; return the row counts of earlier attempts.
INSERT INTO erased_subjects (tenant, subject, erasure_id, erased_at)
SELECT :tenant, subject, :erasure_id, :erased_at FROM unnest(:subjects::text[]) AS subject
ON CONFLICT (tenant, subject) DO UPDATE
SET erasure_id = excluded.erasure_id, erased_at = greatest(erased_subjects.erased_at, excluded.erased_at),
    rows = CASE WHEN erased_subjects.erasure_id = excluded.erasure_id THEN erased_subjects.rows ELSE '{}' END
RETURNING subject, rows;

-- save_erased_rows --
-- Store how many rows of a user were erased.
UPDATE erased_subjects SET rows = :rows WHERE tenant = :tenant AND subject = :user_id;

-- sessions_of_user --
-- The sessions that a user logged in to.
SELECT session_id FROM logins WHERE tenant = :tenant AND user_id = :user_id;

-- erase_touches --
-- Delete the touches of a user, and of sessions before login; return the items of answers that they named.
DELETE FROM touches
WHERE tenant = :tenant AND occurred_at <= :erased_at
    AND (user_id = :user_id OR (user_id IS NULL AND session_id = ANY(:session_ids::text[])))
RETURNING recommendation_id, item_id;

-- erase_purchases --
-- Keep the purchases of a user as numbers: without the user, the session, the order, and what senders said.
UPDATE purchases
SET event_id = 'erased:' || gen_random_uuid(), claim = NULL, line = NULL, user_id = NULL, session_id = NULL,
    recommendation_id = NULL
WHERE tenant = :tenant AND occurred_at <= :erased_at
    AND (user_id = :user_id OR (user_id IS NULL AND session_id = ANY(:session_ids::text[])))
RETURNING event_id;

-- erase_visitors --
-- Give the visitors that a user and the user's sessions were random names.
UPDATE visitors SET visitor = gen_random_uuid()
WHERE tenant = :tenant AND visitor = ANY(:visitors::uuid[]) AND day <= :erased_at
RETURNING day;

-- erase_logins --
-- Delete the logins of a user.
DELETE FROM logins WHERE tenant = :tenant AND (user_id = :user_id OR session_id = ANY(:session_ids::text[]));

-- purchases_attributed_to --
-- Purchases that are attributed to these items of answers, and still belong to a person.
SELECT DISTINCT purchases.tenant, purchases.event_id
FROM unnest(:ids::text[], :item_ids::text[]) AS touched (recommendation_id, item_id)
JOIN purchases ON purchases.tenant = :tenant AND purchases.attributed_to = touched.recommendation_id
    AND purchases.item_id = touched.item_id
WHERE purchases.claim IS NOT NULL OR purchases.line IS NOT NULL;

-- delete_servings --
-- Delete up to a number of old answers.
DELETE FROM servings WHERE (tenant, recommendation_id) IN (
    SELECT tenant, recommendation_id FROM servings WHERE served_at < :before LIMIT :rows
);

-- delete_early_marks --
-- Delete up to a number of old marks of answers that never came.
DELETE FROM early_marks WHERE (tenant, recommendation_id, item_id) IN (
    SELECT tenant, recommendation_id, item_id FROM early_marks WHERE noted_at < :before LIMIT :rows
);

-- delete_touches --
-- Delete up to a number of old touches.
DELETE FROM touches WHERE (tenant, event_id, is_purchase) IN (
    SELECT tenant, event_id, is_purchase FROM touches WHERE occurred_at < :before LIMIT :rows
);

-- delete_logins --
-- Delete up to a number of old logins.
DELETE FROM logins WHERE (tenant, session_id, user_id) IN (
    SELECT tenant, session_id, user_id FROM logins WHERE seen_at < :before LIMIT :rows
);

-- delete_purchases --
-- Delete up to a number of old purchases.
DELETE FROM purchases WHERE (tenant, event_id) IN (
    SELECT tenant, event_id FROM purchases WHERE occurred_at < :before LIMIT :rows
);

-- delete_old_orders --
-- Delete up to a number of old orders.
DELETE FROM orders WHERE (tenant, order_key) IN (
    SELECT tenant, order_key FROM orders WHERE hour < :before LIMIT :rows
);

-- delete_counted_events --
-- Delete up to a number of old digests of events.
DELETE FROM counted_events WHERE (tenant, key) IN (
    SELECT tenant, key FROM counted_events WHERE hour < :before LIMIT :rows
);

-- delete_visitors --
-- Delete up to a number of visitors of old days.
DELETE FROM visitors WHERE (tenant, day, visitor) IN (
    SELECT tenant, day, visitor FROM visitors WHERE day < :before LIMIT :rows
);

-- delete_answered_items --
-- Delete up to a number of items of old days.
DELETE FROM answered_items WHERE (tenant, day, item_id) IN (
    SELECT tenant, day, item_id FROM answered_items WHERE day < :before LIMIT :rows
);

-- delete_figures --
-- Delete up to a number of old figures.
DELETE FROM figures WHERE (tenant, grain, begins_at, series_id) IN (
    SELECT tenant, grain, begins_at, series_id FROM figures WHERE grain = :grain AND begins_at < :before LIMIT :rows
);

-- delete_measures --
-- Delete up to a number of old measures.
DELETE FROM measures WHERE (tenant, grain, begins_at, name) IN (
    SELECT tenant, grain, begins_at, name FROM measures WHERE grain = :grain AND begins_at < :before LIMIT :rows
);

-- database_time --
-- The time of the database.
SELECT now();

-- figures_of_series --
-- Figures of a tenant by time and those members of series that are grouped by.
SELECT figures.begins_at,
    CASE WHEN :by_surface::boolean THEN series.surface END AS surface,
    CASE WHEN :by_placement::boolean THEN series.placement END AS placement,
    series.strategy,
    CASE WHEN :by_variant::boolean THEN series.experiment END AS experiment,
    CASE WHEN :by_variant::boolean THEN series.experiment_version END AS experiment_version,
    CASE WHEN :by_variant::boolean THEN series.variant END AS variant,
    sum(answers)::bigint AS answers, sum(empty_answers)::bigint AS empty_answers,
    sum(fallback_answers)::bigint AS fallback_answers, sum(items)::bigint AS items,
    sum(seen_answers)::bigint AS seen_answers, sum(impressions)::bigint AS impressions,
    sum(clicked_answers)::bigint AS clicked_answers, sum(clicks)::bigint AS clicks,
    sum(conversions)::bigint AS conversions, sum(purchases)::bigint AS purchases,
    sum(units) AS units, sum(revenue) AS revenue
FROM figures
JOIN series ON series.id = figures.series_id
WHERE figures.tenant = :tenant AND figures.grain = :grain
    AND figures.begins_at >= :begin AND figures.begins_at < :end
    AND (series.strategy IS NOT NULL) = :by_strategy::boolean
    AND (:placement::text IS NULL OR series.placement = :placement)
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1
LIMIT :rows;

-- measures_of_tenant --
-- Measures of a tenant by time.
SELECT begins_at, name, value
FROM measures
WHERE tenant = :tenant AND grain = :grain AND begins_at >= :begin AND begins_at < :end
ORDER BY begins_at, name;

-- freshness_of_tenant --
-- The newest times of a tenant.
SELECT newest_event_at, newest_purchase_at, newest_answer_at, newest_history_at, generation
FROM freshness
WHERE tenant = :tenant;

-- newest_events --
-- The time of the newest event of each tenant.
SELECT tenant, newest_event_at FROM freshness WHERE newest_event_at IS NOT NULL;

-- items_of_tenant --
-- The number of items in a tenant's catalogue.
SELECT rows FROM sync.catalogue_rooms_v1 WHERE tenant = :tenant AND kind = 'items';

-- tenants --
-- The tenants that have figures or facts.
SELECT DISTINCT tenant FROM freshness ORDER BY tenant;

-- servings_of_tenant --
-- All answers of a tenant since a time.
SELECT tenant, recommendation_id, served_at, series_id, item_ids, item_series, is_fallback, source, seen, clicked,
    converted
FROM servings WHERE tenant = :tenant AND served_at >= :begin;

-- purchases_of_tenant --
-- All purchases of a tenant since a time.
SELECT event_id, occurred_at, units, revenue, attributed_series, attributed_item_series
FROM purchases WHERE tenant = :tenant AND occurred_at >= :begin;

-- orders_of_tenant --
-- The number of orders of a tenant by hour since a time.
SELECT hour, count(*) AS rows FROM orders WHERE tenant = :tenant AND hour >= :begin GROUP BY hour;

-- events_of_tenant --
-- The number of events of a tenant by hour and name since a time.
SELECT hour, name, count(*) AS rows
FROM counted_events WHERE tenant = :tenant AND hour >= :begin GROUP BY hour, name;

-- visitors_of_tenant --
-- The number of visitors of a tenant by day since a time.
SELECT day, count(*) AS rows, count(*) FILTER (WHERE is_answered) AS answered
FROM visitors WHERE tenant = :tenant AND day >= :begin GROUP BY day;

-- answered_items_of_tenant --
-- The number of items in answers of a tenant by day since a time.
SELECT day, count(*) AS rows FROM answered_items WHERE tenant = :tenant AND day >= :begin GROUP BY day;

-- stored_figures --
-- The stored figures of a tenant since a time.
SELECT begins_at, series_id, answers, empty_answers, fallback_answers, items, seen_answers, impressions,
    clicked_answers, clicks, conversions, purchases, units, revenue
FROM figures WHERE tenant = :tenant AND grain = :grain AND begins_at >= :begin;

-- days_unlike_hours --
-- Measures, answers, clicks and revenue of days that differ from the sums of their hours.
WITH sums AS (
    SELECT grain, date_trunc('day', begins_at, 'UTC') AS begins_at, name, sum(value) AS value
    FROM measures
    WHERE tenant = :tenant AND begins_at >= :begin AND name NOT IN ('visitors', 'answered_visitors', 'answered_items')
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT grain, date_trunc('day', begins_at, 'UTC'), figure.name || ' of series ' || series_id, sum(figure.value)
    FROM figures
    CROSS JOIN LATERAL (VALUES
        ('answers', answers::numeric), ('impressions', impressions::numeric), ('clicks', clicks::numeric),
        ('conversions', conversions::numeric), ('purchases', purchases::numeric), ('revenue', revenue)
    ) AS figure (name, value)
    WHERE tenant = :tenant AND begins_at >= :begin
    GROUP BY 1, 2, 3
)
SELECT begins_at, name, coalesce(sum(value) FILTER (WHERE grain = 'hour'), 0) AS counted,
    coalesce(sum(value) FILTER (WHERE grain = 'day'), 0) AS stored
FROM sums
GROUP BY begins_at, name
HAVING coalesce(sum(value) FILTER (WHERE grain = 'hour'), 0)
    <> coalesce(sum(value) FILTER (WHERE grain = 'day'), 0);

-- share_lake --
-- Let this transaction write to a tenant's lake; erasures and maintenance wait for its end.
SELECT pg_advisory_xact_lock_shared(hashtext('analytics.lake'), hashtext(:tenant));

-- lock_lake --
-- Let this transaction alone change a tenant's lake.
SELECT pg_advisory_xact_lock(hashtext('analytics.lake'), hashtext(:tenant));

-- lake_changed --
-- Note that a table of the lake has changed, and how many files it got.
INSERT INTO lake_tables (tenant, name, added_files) VALUES (:tenant, :name, :files)
ON CONFLICT (tenant, name) DO UPDATE SET changed_at = now(), added_files = lake_tables.added_files + excluded.added_files;

-- lake_due --
-- Tables of the lake that were not maintained in this night, or got many files.
SELECT tenant, name, maintained_at < :before AS is_night FROM lake_tables
WHERE maintained_at < :before OR added_files >= :files
ORDER BY maintained_at;

-- lake_state --
-- The time, and the files that a table of the lake got since its last maintenance.
SELECT now() AS at, added_files FROM lake_tables WHERE tenant = :tenant AND name = :name;

-- lake_maintained --
-- Note that a table of the lake was maintained: in the night at a time, and these files were joined.
UPDATE lake_tables SET maintained_at = coalesce(:at, maintained_at), added_files = greatest(added_files - :files, 0)
WHERE tenant = :tenant AND name = :name;

-- catalogue_items --
-- The items of a tenant's catalogue.
SELECT item_id, name, category, price::float8, currency, available, created_at, attributes::text, updated_at
FROM sync.items_v1 WHERE tenant = :tenant ORDER BY item_id LIMIT :rows;

-- catalogue_users --
-- The users of a tenant.
SELECT user_id, name, city, province, country, attributes::text, updated_at
FROM sync.users_v1 WHERE tenant = :tenant ORDER BY user_id LIMIT :rows;

-- add_query_execution --
-- Add an execution of a query, unless its tenant has one of the same request token.
INSERT INTO query_executions (
    id, tenant, query, statement_type, substatement, database, catalog, workgroup, output_location, request_token
)
VALUES (
    :id, :tenant, :query, :statement_type, :substatement, :database, :catalog, :workgroup, :output_location,
    :request_token
)
ON CONFLICT (tenant, request_token) DO NOTHING
RETURNING id;

-- query_execution_of_token --
-- The execution of a request token.
SELECT id, query FROM query_executions WHERE tenant = :tenant AND request_token = :request_token;

-- query_executions_by_id --
-- Executions of these tenants.
SELECT id, tenant, query, statement_type, substatement, database, catalog, workgroup, output_location, state,
       reason, is_system_error, submitted_at, completed_at, seconds, columns, row_count, manifest,
       state IN ('QUEUED', 'RUNNING') AND alive_at < now() - interval '30 seconds' AS is_lost
FROM query_executions
WHERE id = ANY(:ids::uuid[]) AND tenant = ANY(:tenants::text[]);

-- fail_lost_query_executions --
-- Fail those of these executions whose process died; one that was only late can't end them any more.
UPDATE query_executions
SET state = 'FAILED', reason = 'The process that ran the query ended: send it again.', is_system_error = true,
    completed_at = now()
WHERE id = ANY(:ids::uuid[]) AND state IN ('QUEUED', 'RUNNING') AND alive_at < now() - interval '30 seconds';

-- query_execution_ids --
-- Ids of executions of tenants, newest first, after a place.
SELECT id, submitted_at FROM query_executions
WHERE tenant = ANY(:tenants::text[]) AND workgroup = coalesce(:workgroup, workgroup)
  AND (:after_at::timestamptz IS NULL OR (submitted_at, id) < (:after_at, :after_id::uuid))
ORDER BY submitted_at DESC, id DESC
LIMIT :limit;

-- run_query_execution --
-- Set a queued execution to running.
UPDATE query_executions SET state = 'RUNNING', alive_at = now() WHERE id = :id AND state = 'QUEUED'
RETURNING id;

-- end_query_execution --
-- End an execution that was not cancelled.
UPDATE query_executions
SET state = :state, reason = :reason, is_system_error = :is_system_error, completed_at = now(),
    seconds = :seconds, columns = :columns, row_count = :row_count, manifest = :manifest
WHERE id = :id AND state IN ('QUEUED', 'RUNNING')
RETURNING id;

-- cancel_query_execution --
-- Cancel an execution that has not ended.
UPDATE query_executions SET state = 'CANCELLED', reason = 'Query cancelled by user', completed_at = now()
WHERE id = :id AND tenant = ANY(:tenants::text[]) AND state IN ('QUEUED', 'RUNNING');

-- keep_query_executions --
-- Note that these executions are alive, and return those that have ended since.
WITH alive AS (
    UPDATE query_executions SET alive_at = now()
    WHERE id = ANY(:ids::uuid[]) AND state IN ('QUEUED', 'RUNNING')
    RETURNING id
)
SELECT id FROM unnest(:ids) AS id WHERE id NOT IN (SELECT id FROM alive);

-- add_query_page --
-- Add a page of a result.
INSERT INTO query_pages (id, page, rows) VALUES (:id, :page, :rows);

-- query_page --
-- A page of a result.
SELECT rows FROM query_pages WHERE id = :id AND page = :page;

-- delete_query_executions --
-- Delete old executions with their results.
DELETE FROM query_executions WHERE id IN (
    SELECT id FROM query_executions WHERE submitted_at < :before ORDER BY submitted_at LIMIT :rows
);

-- put_query_table --
-- Store a table that a query made; an older one of the name is forgotten.
INSERT INTO query_tables (tenant, name, place, columns) VALUES (:tenant, :name, :place, :columns)
ON CONFLICT (tenant, name) DO UPDATE
SET place = excluded.place, columns = excluded.columns, created_at = now();

-- query_table --
-- A table that a query made.
SELECT name, place, columns, created_at FROM query_tables WHERE tenant = :tenant AND name = :name;

-- drop_query_table --
-- Forget a table that a query made; its files stay.
DELETE FROM query_tables WHERE tenant = :tenant AND name = :name;

-- delete_query_tables --
-- Forget old tables that queries made.
DELETE FROM query_tables WHERE (tenant, name) IN (
    SELECT tenant, name FROM query_tables WHERE created_at < :before LIMIT :rows
);

-- report_lines --
-- The lines of a tenant's orders, in the order of time.
SELECT order_id, user_id, customer_name, city, province, status, is_bought, ordered_at, channel, item_id, name,
    category, price, quantity, remaining, source
FROM sync.order_lines_v1 WHERE tenant = :tenant
ORDER BY ordered_at, order_id, item_id;

-- report_items --
-- The items of a tenant's catalogue, for the names in reports.
SELECT item_id, name, category, price, attributes ->> 'brand' AS brand FROM sync.items_v1 WHERE tenant = :tenant;

-- erased_subjects_of_tenant --
-- Users and sessions of a tenant that are erased, and up to when.
SELECT subject, erased_at FROM erased_subjects WHERE tenant = :tenant;

-- tenants_with_items --
-- The tenants that have a catalogue.
SELECT tenant FROM sync.catalogue_rooms_v1 WHERE kind = 'items' AND rows > 0 ORDER BY tenant;

-- put_report_selection --
-- Store that a selection is computed of orders as they were at a time; forget its reports.
WITH forgotten AS (DELETE FROM reports WHERE tenant = :tenant AND selection = :selection)
INSERT INTO report_selections (tenant, selection, is_usual, computed_at)
VALUES (:tenant, :selection, :is_usual, :computed_at)
ON CONFLICT (tenant, selection) DO UPDATE
SET is_usual = excluded.is_usual, computed_at = excluded.computed_at;

-- add_reports --
-- Store the reports of a selection, a JSON array of objects.
INSERT INTO reports (tenant, selection, name, rows, total, summary, customer_field)
SELECT :tenant, :selection, report.*
FROM json_to_recordset(:reports::json)
    AS report (name text, rows json, total bigint, summary jsonb, customer_field text);

-- stored_report --
-- A report of a selection that is computed, without rows if there are no orders.
SELECT computed_at, asked_at < now() - interval '1 day' AS is_long_unasked, coalesce(rows, '[]') AS rows,
    coalesce(total, 0) AS total, coalesce(summary, '{}') AS summary
FROM report_selections
LEFT JOIN reports ON reports.tenant = report_selections.tenant
    AND reports.selection = report_selections.selection AND reports.name = :name
WHERE report_selections.tenant = :tenant AND report_selections.selection = :selection AND computed_at IS NOT NULL;

-- ask_for_selection --
-- Note that a selection is asked for; return it if it is to be computed and was not asked for in the last minute.
INSERT INTO report_selections AS known (tenant, selection, is_usual) VALUES (:tenant, :selection, false)
ON CONFLICT (tenant, selection) DO UPDATE SET asked_at = now()
WHERE known.computed_at IS NOT NULL OR known.asked_at < now() - interval '1 minute'
RETURNING computed_at IS NULL AS is_new;

-- asked_selections --
-- The selections that people have asked for, the newest first.
SELECT selection FROM report_selections WHERE tenant = :tenant AND NOT is_usual ORDER BY asked_at DESC LIMIT :rows;

-- forget_selections --
-- Forget usual selections that a computation did not renew, and selections that were not asked for lately.
DELETE FROM report_selections
WHERE tenant = :tenant AND (
    (is_usual AND computed_at < :computed_at)
    OR (NOT is_usual AND (asked_at < :asked_before OR selection IN (
        SELECT selection FROM report_selections
        WHERE tenant = :tenant AND NOT is_usual ORDER BY asked_at DESC OFFSET :rows
    )))
);

-- erase_from_reports --
-- Delete the rows of a customer from reports; return the number of reports that had one.
WITH changed AS (
    UPDATE reports
    SET rows = (
        SELECT coalesce(json_agg(entry ORDER BY place), '[]')
        FROM json_array_elements(rows) WITH ORDINALITY AS listed (entry, place)
        WHERE entry ->> customer_field IS DISTINCT FROM :user_id
    )
    WHERE tenant = :tenant AND customer_field IS NOT NULL
        AND rows::jsonb @> jsonb_build_array(jsonb_build_object(customer_field, :user_id::text))
    RETURNING name
)
SELECT count(*) FROM changed;

-- delete_jobs --
-- Delete up to a number of jobs that ended.
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs WHERE status IN ('done', 'failed') AND finished_at < :before LIMIT :rows
);
