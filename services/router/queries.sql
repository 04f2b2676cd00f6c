-- lock_tenant --
-- Lock a tenant's experiments until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtext('router.experiments'), hashtext(:tenant));

-- latest --
-- The newest version of an experiment.
SELECT *
FROM experiments
WHERE tenant = :tenant AND name = :name
ORDER BY version DESC
LIMIT 1;

-- version --
-- A version of an experiment.
SELECT *
FROM experiments
WHERE tenant = :tenant AND name = :name AND version = :version;

-- latest_versions --
-- The newest version of each experiment of a tenant.
SELECT *
FROM (SELECT DISTINCT ON (name) * FROM experiments WHERE tenant = :tenant ORDER BY name, version DESC) AS newest
WHERE :with_archived OR status <> 'archived'
ORDER BY name;

-- live --
-- The version of an experiment that runs or is paused.
SELECT *
FROM experiments
WHERE tenant = :tenant AND name = :name AND status IN ('running', 'paused');

-- newest_started --
-- The newest version of an experiment that was started.
SELECT *
FROM experiments
WHERE tenant = :tenant AND name = :name AND started_at IS NOT NULL
ORDER BY version DESC
LIMIT 1;

-- versions_of_phase --
-- The versions of a phase, which are one measurement.
SELECT array_agg(version ORDER BY version) AS versions, min(started_at) AS began_at
FROM experiments
WHERE tenant = :tenant AND name = :name AND phase = :phase AND started_at IS NOT NULL;

-- count_open --
-- The number of other draft and running experiments of a tenant, and of the versions of one experiment, without the
-- periods of a bandit.
SELECT
    count(DISTINCT name) FILTER (WHERE status IN ('draft', 'running', 'paused') AND name <> :name) AS open_experiments,
    count(*) FILTER (WHERE name = :name AND NOT (design ->> 'kind' = 'bandit' AND salt LIKE '%#' || version)) AS versions
FROM experiments
WHERE tenant = :tenant;

-- delete_drafts --
-- Delete the versions of an experiment that never ran.
DELETE FROM experiments
WHERE tenant = :tenant AND name = :name AND status = 'draft'
RETURNING version;

-- running_or_recent --
-- Running and paused experiments, and recently stopped ones, whose last events may still arrive.
SELECT *
FROM experiments
WHERE status IN ('running', 'paused') OR stopped_at > now() - interval '1 day';

-- add --
-- Add a version, as a draft.
INSERT INTO experiments (
    tenant, name, version, surface, traffic, salt, variants, layer, unit, design, trigger_share, metrics, phase, changed_at
)
VALUES (
    :tenant, :name, :version, :surface, :traffic, :salt, :variants, :layer, :unit, :design, :trigger_share, :metrics, :phase,
    now()
)
RETURNING *;

-- running_beside --
-- Other running experiments on a surface, or in a layer.
SELECT *
FROM experiments
WHERE tenant = :tenant AND status = 'running' AND name <> :name
  AND (surface = :surface OR layer ->> 'name' = :layer)
ORDER BY name;

-- freed_segments --
-- Versions of other experiments that had a segment of a layer and ended in the last days, the newest first.
SELECT *
FROM experiments
WHERE tenant = :tenant AND layer ->> 'name' = :layer AND name <> :name
  AND stopped_at > now() - make_interval(days => :days::int)
ORDER BY stopped_at DESC;

-- set_status --
-- Set the status of a version, with its times.
UPDATE experiments
SET status = :status, revision = revision + 1, changed_at = now(),
    decision = coalesce(:decision::jsonb, decision),
    started_at = CASE WHEN :status = 'running' THEN coalesce(started_at, now()) ELSE started_at END,
    stopped_at = CASE WHEN :status IN ('stopped', 'decided', 'archived') THEN coalesce(stopped_at, now()) END
WHERE tenant = :tenant AND name = :name AND version = :version
RETURNING *;

-- set_forced --
-- Set the units that get a variant for tests.
UPDATE experiments
SET forced = :forced, revision = revision + 1, changed_at = now()
WHERE tenant = :tenant AND name = :name AND version = :version
RETURNING *;

-- set_disabled --
-- Set the variants whose units are answered as usual; exposures after the first of them do not count.
UPDATE experiments
SET disabled = :disabled, revision = revision + 1, changed_at = now(),
    disabled_at = CASE WHEN cardinality(:disabled::text[]) > 0 THEN coalesce(disabled_at, now()) ELSE disabled_at END
WHERE tenant = :tenant AND name = :name AND version = :version
RETURNING *;

-- unforce --
-- Remove an erased unit from the forced units of its tenant's experiments.
UPDATE experiments
SET forced = forced - :unit::text, revision = revision + 1, changed_at = now()
WHERE tenant = :tenant AND forced ? :unit
RETURNING *;

-- add_change --
-- Add a line to the log of an experiment, and delete those beyond the newest :kept.
WITH old AS (
    DELETE FROM experiment_changes
    WHERE id IN (
        SELECT id FROM experiment_changes WHERE tenant = :tenant AND name = :name ORDER BY id DESC OFFSET :kept - 1
    )
)
INSERT INTO experiment_changes (tenant, name, version, revision, change, actor, details)
VALUES (:tenant, :name, :version, :revision, :change, :actor, :details);

-- touch_drafts --
-- Count a change of a version as one of the drafts after it: the newest version's revision stands for the experiment.
UPDATE experiments
SET revision = revision + 1
WHERE tenant = :tenant AND name = :name AND version > :version AND status = 'draft';

-- changes --
-- The log of an experiment, newest first.
SELECT version, revision, change, actor, details, at
FROM experiment_changes
WHERE tenant = :tenant AND name = :name
ORDER BY id DESC
LIMIT :limit;

-- record_exposures --
-- Record exposed units; the earliest exposure counts, and the earliest one whose answer differs, in whatever order the
-- events arrive. The facts of an answer are those of the earliest exposure that has them.
INSERT INTO exposed_units (
    tenant, experiment, version, unit, variant, first_at, triggered_at, milliseconds, fallback, device
)
SELECT incoming.*
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :units::text[], :variants::text[],
    :times::timestamptz[], :triggers::timestamptz[], :milliseconds::float8[], :fallbacks::boolean[], :devices::text[]
) AS incoming (tenant, experiment, version, unit, variant, at, triggered_at, milliseconds, fallback, device)
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = incoming.tenant AND erased.unit = incoming.unit AND incoming.at <= erased.erased_at
)
ON CONFLICT (tenant, experiment, version, unit) DO UPDATE
SET first_at = least(exposed_units.first_at, excluded.first_at),
    triggered_at = least(exposed_units.triggered_at, excluded.triggered_at),
    (milliseconds, fallback, device) = (
        SELECT facts.milliseconds, facts.fallback, facts.device
        FROM (
            VALUES (exposed_units.first_at, exposed_units.milliseconds, exposed_units.fallback, exposed_units.device),
                (excluded.first_at, excluded.milliseconds, excluded.fallback, excluded.device)
        ) AS facts (at, milliseconds, fallback, device)
        ORDER BY facts.milliseconds IS NULL, facts.at
        LIMIT 1
    ),
    mixed = exposed_units.mixed OR exposed_units.variant <> excluded.variant;

-- record_outcomes --
-- Record events of users and sessions, each once. An earlier row that has only one of an event's two units gets
-- the other when the event is recorded again.
INSERT INTO outcomes AS kept (
    tenant, experiment, version, event_id, unit, session_id, event_type, value, occurred_at, order_id, recommended,
    item_id, recommendation_id
)
SELECT incoming.tenant, incoming.experiment, incoming.version, incoming.event_id, incoming.unit,
    CASE WHEN NOT EXISTS (
        SELECT FROM erased_units AS erased
        WHERE erased.tenant = incoming.tenant AND erased.unit = incoming.session_id AND incoming.at <= erased.erased_at
    ) THEN incoming.session_id END,
    incoming.event_type, incoming.value, incoming.at, incoming.order_id, incoming.recommended, incoming.item_id,
    incoming.recommendation_id
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :event_ids::text[], :units::text[],
    :session_ids::text[], :event_types::text[], :values::float8[], :times::timestamptz[], :order_ids::text[],
    :recommended::boolean[], :item_ids::text[], :recommendation_ids::text[]
) AS incoming (
    tenant, experiment, version, event_id, unit, session_id, event_type, value, at, order_id, recommended, item_id,
    recommendation_id
)
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = incoming.tenant AND erased.unit = incoming.unit AND incoming.at <= erased.erased_at
)
ON CONFLICT (tenant, experiment, version, event_id) DO UPDATE
SET unit = excluded.unit, session_id = excluded.session_id
WHERE kept.session_id IS NULL AND kept.unit IN (excluded.unit, excluded.session_id)
  AND excluded.session_id IS NOT NULL;

-- record_logins --
-- Record which user logged in to a session; the first login counts, in whatever order they arrive. A login in which
-- neither side takes part in an experiment is recorded only if its user has another one.
INSERT INTO session_users AS kept (tenant, session_id, user_id, first_at)
SELECT incoming.tenant, incoming.session_id, incoming.user_id, incoming.at
FROM unnest(
    :tenants::text[], :session_ids::text[], :user_ids::text[], :times::timestamptz[], :take_part::boolean[]
) AS incoming (tenant, session_id, user_id, at, takes_part)
WHERE NOT EXISTS (
    SELECT FROM session_users AS login
    WHERE login.tenant = incoming.tenant AND login.session_id = incoming.session_id
      AND (login.first_at, login.user_id) <= (incoming.at, incoming.user_id)
)
  AND (incoming.takes_part OR EXISTS (
    SELECT FROM session_users AS login WHERE login.tenant = incoming.tenant AND login.user_id = incoming.user_id
))
  AND NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = incoming.tenant AND erased.unit IN (incoming.session_id, incoming.user_id)
      AND incoming.at <= erased.erased_at
)
ORDER BY incoming.tenant, incoming.session_id
ON CONFLICT (tenant, session_id) DO UPDATE
SET user_id = excluded.user_id, first_at = excluded.first_at
WHERE (excluded.first_at, excluded.user_id) < (kept.first_at, kept.user_id);

-- record_logins_of_exposed --
-- Record logins to exposed sessions from before the exposure, from the interaction log. The oldest :max_events events
-- of a session are read, so that a session which a storefront uses for all visitors costs no more than others.
INSERT INTO session_users AS kept (tenant, session_id, user_id, first_at)
SELECT incoming.tenant, incoming.unit, login.user_id, login.occurred_at
FROM (
    SELECT DISTINCT tenant, unit FROM unnest(:tenants::text[], :units::text[]) AS exposed (tenant, unit)
) AS incoming
CROSS JOIN LATERAL (
    SELECT oldest.user_id, oldest.occurred_at
    FROM (
        SELECT event.user_id, least(event.occurred_at, event.received_at) AS occurred_at
        FROM tracker.interactions_v1 AS event
        WHERE event.tenant = incoming.tenant AND event.session_id = incoming.unit
        ORDER BY event.occurred_at
        LIMIT :max_events
    ) AS oldest
    WHERE oldest.user_id <> incoming.unit
    ORDER BY oldest.occurred_at, oldest.user_id
    LIMIT 1
) AS login
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = incoming.tenant AND erased.unit IN (incoming.unit, login.user_id)
      AND login.occurred_at <= erased.erased_at
)
ORDER BY incoming.tenant, incoming.unit
ON CONFLICT (tenant, session_id) DO UPDATE
SET user_id = excluded.user_id, first_at = excluded.first_at
WHERE (excluded.first_at, excluded.user_id) < (kept.first_at, kept.user_id);

-- with_login --
-- Which of these users and sessions have a login, by their positions from 1.
SELECT incoming.position
FROM unnest(:tenants::text[], :user_ids::text[], :session_ids::text[])
    WITH ORDINALITY AS incoming (tenant, user_id, session_id, position)
WHERE EXISTS (
    SELECT FROM session_users AS login WHERE login.tenant = incoming.tenant AND login.user_id = incoming.user_id
)
   OR EXISTS (
    SELECT FROM session_users AS login WHERE login.tenant = incoming.tenant AND login.session_id = incoming.session_id
);

-- correct_outcomes --
-- Correct the outcomes of an event that an order replaces, in every experiment that ever ran: a unit of the event that
-- the order names too keeps its outcome with the order's values, any other unit of the event loses it.
WITH correction AS (
    SELECT c.*, e.name AS experiment, e.version
    FROM unnest(
        :tenants::text[], :event_ids::text[], :units::text[], :stays::boolean[], :session_ids::text[],
        :event_types::text[], :values::float8[], :times::timestamptz[]
    ) AS c (tenant, event_id, unit, stays, session_id, event_type, value, occurred_at)
    JOIN experiments AS e ON e.tenant = c.tenant AND e.started_at IS NOT NULL
), removed AS (
    DELETE FROM outcomes AS o USING correction AS c
    WHERE (o.tenant, o.experiment, o.version, o.event_id, o.unit)
        = (c.tenant, c.experiment, c.version, c.event_id, c.unit)
      AND NOT c.stays
)
UPDATE outcomes AS o
SET event_type = c.event_type, value = c.value, occurred_at = c.occurred_at,
    session_id = CASE WHEN o.session_id = c.session_id THEN o.session_id END
FROM correction AS c
WHERE (o.tenant, o.experiment, o.version, o.event_id, o.unit)
    = (c.tenant, c.experiment, c.version, c.event_id, c.unit)
  AND c.stays;

-- units --
-- The number of units that were exposed to each variant.
SELECT variant, count(*) AS units, count(*) FILTER (WHERE mixed) AS mixed
FROM exposed_units
WHERE tenant = :tenant AND experiment = :name AND version = :version
GROUP BY variant;

-- crossed --
-- The number of users who were exposed to several variants: as a visitor, and after a login.
SELECT count(*)
FROM (
    SELECT coalesce(login.user_id, u.unit) AS person
    FROM exposed_units AS u
    LEFT JOIN session_users AS login ON login.tenant = u.tenant AND login.session_id = u.unit
    WHERE u.tenant = :tenant AND u.experiment = :name AND u.version = :version
    GROUP BY person
    HAVING min(u.variant) <> max(u.variant)
) AS people;

-- results --
-- Events of exposed units since their first exposure, by variant and event type; a variant counts an event once. A unit
-- is a user or a session; its events are those that name it, and those of the user who logged in to the session. An
-- event dated in whole seconds may have happened up to the end of its second. Values beyond the bound that intake
-- enforces were recorded before there was one: they are not summed, since the sum could overflow.
WITH exposed AS MATERIALIZED (
    SELECT u.unit, u.variant, u.first_at, coalesce(login.user_id, u.unit) AS person
    FROM exposed_units AS u
    LEFT JOIN session_users AS login ON login.tenant = u.tenant AND login.session_id = u.unit
    WHERE u.tenant = :tenant AND u.experiment = :name AND u.version = :version
), happened AS MATERIALIZED (
    SELECT o.event_id, o.event_type, o.value, o.session_id, coalesce(login.user_id, o.unit) AS person,
        CASE WHEN o.occurred_at = date_trunc('second', o.occurred_at)
            THEN o.occurred_at + interval '999999 microseconds' ELSE o.occurred_at END AS until
    FROM outcomes AS o
    LEFT JOIN session_users AS login ON login.tenant = o.tenant AND login.session_id = o.unit
    WHERE o.tenant = :tenant AND o.experiment = :name AND o.version = :version
), done AS MATERIALIZED (
    SELECT exposed.variant, exposed.unit, happened.event_type, happened.event_id, happened.value
    FROM exposed JOIN happened USING (person)
    WHERE happened.until >= exposed.first_at
    UNION ALL
    SELECT exposed.variant, exposed.unit, happened.event_type, happened.event_id, happened.value
    FROM exposed JOIN happened ON happened.session_id = exposed.unit AND happened.person <> exposed.person
    WHERE happened.until >= exposed.first_at
), doing_units AS (
    SELECT variant, event_type, count(DISTINCT unit) AS units FROM done GROUP BY variant, event_type
), events AS (
    SELECT variant, event_type, count(*) AS events, sum(value) FILTER (WHERE abs(value) <= :largest) AS value,
        count(value) FILTER (WHERE NOT abs(value) <= :largest) AS values_left_out
    FROM (SELECT DISTINCT variant, event_type, event_id, value FROM done) AS each
    GROUP BY variant, event_type
)
SELECT variant, event_type, events, units, value, values_left_out
FROM events JOIN doing_units USING (variant, event_type)
ORDER BY variant, event_type;

-- hash_joins --
-- Let the statements of a transaction join by hashing, in memory. The planner does not know how many rows the parts of
-- metric_sums have; a nested loop over two of them takes minutes.
SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true), set_config('jit', 'off', true);

-- metric_sums --
-- Sums of the metrics over people, by metric (numbered from 1), variant and bucket; number 0 is all people, number -1
-- those who were exposed first on a day, and number -2 those with a device. Number -3 is the events, and y those that
-- name an answer. The bucket is one of 256 by a hash of the person, so that halves of the control can be compared with
-- each other.
--
-- A person is a user, or a visitor who did not log in; a phase's versions are one measurement. A person's variant and
-- time are those of the first exposure before :until. People who met several variants, and those with more than
-- :bot_events events on a day, are counted and left out. An event counts once per person, from the exposure on, for
-- the time of the metric; one dated in whole seconds may have happened up to the end of its second. `side` is y for
-- the metric's own amount and x for what it is divided by, or for the same amount in the :pre_days before the
-- exposure. With :triggered only people count to whom some variant would have answered something else, from the first
-- such answer on. An amount y is cut at the quantile of the amounts above 0 of all variants. One version runs at a time, so
-- no event is in two of them.
--
-- People and amounts have numbers, because millions of rows are grouped by them: `id`, and `place` in the order of the
-- arguments, negative for the amount before the exposure.
WITH metrics AS MATERIALIZED (
    SELECT *
    FROM unnest(
        :numbers::int[], :sides::text[], :events::text[], :measures::text[], :from_days::float8[],
        :window_days::float8[], :recommended::boolean[], :quantiles::float8[], :has_covariate::boolean[]
    ) WITH ORDINALITY AS m (
        number, side, event_type, measure, from_days, window_days, recommended, quantile, has_covariate, place
    )
), exposed AS MATERIALIZED (
    SELECT u.unit, u.variant, u.first_at, u.mixed, u.device, coalesce(login.user_id, u.unit) AS person,
        CASE WHEN :triggered::boolean THEN u.triggered_at ELSE u.first_at END AS counted_at
    FROM exposed_units AS u
    LEFT JOIN session_users AS login ON login.tenant = u.tenant AND login.session_id = u.unit
    WHERE u.tenant = :tenant AND u.experiment = :name AND u.version = ANY(:versions::int[])
      AND u.first_at < coalesce(:until::timestamptz, 'infinity')
), people AS MATERIALIZED (
    SELECT row_number() OVER () AS id, person, min(variant) AS variant, min(counted_at) AS first_at,
        min(first_at) AS exposed_at, min(unit) <> max(unit) AS merged,
        bool_or(mixed) OR min(variant) <> max(variant) AS crossed, min(device) AS device,
        (hashtextextended(person, 1) & 255)::int AS bucket
    FROM exposed
    GROUP BY person
    HAVING min(counted_at) < coalesce(:until::timestamptz, 'infinity')
), happened AS (
    -- Of the person whom the event names, and of the one who was exposed in its session: mostly the same.
    SELECT o.event_type, o.value, o.recommended, o.occurred_at, coalesce(o.order_id, o.event_id) AS order_key,
        CASE WHEN o.occurred_at = date_trunc('second', o.occurred_at)
            THEN o.occurred_at + interval '999999 microseconds' ELSE o.occurred_at END AS until,
        unnest(CASE WHEN visit.person <> coalesce(login.user_id, o.unit)
            THEN ARRAY[coalesce(login.user_id, o.unit), visit.person]
            ELSE ARRAY[coalesce(login.user_id, o.unit)] END) AS person
    FROM outcomes AS o
    LEFT JOIN session_users AS login ON login.tenant = o.tenant AND login.session_id = o.unit
    LEFT JOIN (SELECT DISTINCT unit, person FROM exposed) AS visit ON visit.unit = o.session_id
    WHERE o.tenant = :tenant AND o.experiment = :name AND o.version = ANY(:versions::int[])
      AND o.event_type = ANY(:events::text[])
), done AS MATERIALIZED (
    SELECT p.id, p.first_at, h.order_key, h.event_type, h.value, h.recommended, h.occurred_at
    FROM people AS p JOIN happened AS h USING (person)
    WHERE NOT p.crossed AND h.until >= p.first_at
), busy AS (
    SELECT id FROM done WHERE event_type <> 'impression' GROUP BY id HAVING count(*) > :bot_events
), bots AS MATERIALIZED (
    SELECT DISTINCT id
    FROM (
        SELECT id
        FROM done JOIN busy USING (id)
        WHERE event_type <> 'impression'
        GROUP BY id, date_trunc('day', occurred_at)
        HAVING count(*) > :bot_events
    ) AS busy_days
), before AS (
    SELECT p.id, b.event_type, b.value, b.order_key
    FROM people AS p
    CROSS JOIN LATERAL (
        SELECT event.event_type, event.value, coalesce(event.order_id, event.event_id) AS order_key
        FROM tracker.interactions_v1 AS event
        WHERE event.tenant = :tenant AND event.user_id = p.person AND event.event_type = ANY(:events::text[])
          AND event.occurred_at >= p.exposed_at - make_interval(days => :pre_days::int)
          AND event.occurred_at < p.exposed_at
        OFFSET 0  -- for each person by the index, also when the planner may use no nested loop
    ) AS b
    WHERE NOT p.crossed AND :pre_days::int > 0
), counted AS MATERIALIZED (
    SELECT m.place, d.id, d.value, m.measure = 'orders' AS of_orders, d.order_key
    FROM metrics AS m
    JOIN done AS d USING (event_type)
    WHERE (d.recommended OR NOT m.recommended)
      AND (m.from_days IS NULL OR d.occurred_at >= d.first_at + make_interval(secs => m.from_days * 86400))
      AND (m.window_days IS NULL OR d.occurred_at < d.first_at + make_interval(secs => m.window_days * 86400))
    UNION ALL
    SELECT -m.place, b.id, b.value, m.measure = 'orders', b.order_key
    FROM metrics AS m
    JOIN before AS b USING (event_type)
    WHERE m.has_covariate
), totals AS (
    SELECT place, id, count(*) AS events, coalesce(sum(value) FILTER (WHERE abs(value) <= :largest), 0) AS value
    FROM counted
    WHERE NOT of_orders
    GROUP BY place, id
    UNION ALL
    -- Apart, since a DISTINCT within the aggregate would sort all rows.
    SELECT place, id, count(*), 0
    FROM (SELECT DISTINCT place, id, order_key FROM counted WHERE of_orders) AS orders
    GROUP BY place, id
), amounts AS MATERIALIZED (
    SELECT m.number, t.id, t.place > 0 AND m.side = 'y' AS is_y, m.quantile,
        CASE m.measure WHEN 'conversion' THEN 1 WHEN 'value' THEN t.value ELSE t.events END::float8 AS amount
    FROM totals AS t
    JOIN metrics AS m ON m.place = abs(t.place)
    WHERE NOT EXISTS (SELECT FROM bots WHERE bots.id = t.id)
), cuts AS (
    SELECT number, percentile_cont(quantile) WITHIN GROUP (ORDER BY amount) AS cut
    FROM amounts
    WHERE is_y AND quantile IS NOT NULL AND amount > 0
    GROUP BY number, quantile
), pairs AS (
    SELECT a.number, a.id, coalesce(sum(least(a.amount, cuts.cut)) FILTER (WHERE a.is_y), 0) AS y,
        coalesce(sum(a.amount) FILTER (WHERE NOT a.is_y), 0) AS x
    FROM amounts AS a
    LEFT JOIN cuts USING (number)
    GROUP BY a.number, a.id
)
SELECT number, people.variant, people.bucket, NULL AS value, count(*) AS people, sum(y) AS y, sum(y * y) AS yy,
    sum(x) AS x, sum(x * x) AS xx, sum(x * y) AS xy, 0::bigint AS crossed, 0::bigint AS merged, 0::bigint AS bots
FROM pairs
JOIN people USING (id)
GROUP BY 1, 2, 3
UNION ALL
SELECT 0, people.variant, people.bucket, NULL, count(*) FILTER (WHERE NOT people.crossed AND bots.id IS NULL),
    0, 0, 0, 0, 0, count(*) FILTER (WHERE people.crossed), count(*) FILTER (WHERE people.merged AND NOT people.crossed),
    count(bots.id)
FROM people
LEFT JOIN bots USING (id)
GROUP BY people.variant, people.bucket
UNION ALL
SELECT -1, variant, NULL, (first_at AT TIME ZONE 'UTC')::date::text AS value, count(*), 0, 0, 0, 0, 0, 0, 0, 0
FROM people
WHERE NOT crossed
GROUP BY variant, 4
UNION ALL
SELECT -2, variant, NULL, device, count(*), 0, 0, 0, 0, 0, 0, 0, 0
FROM people
WHERE NOT crossed AND device IS NOT NULL
GROUP BY variant, device
UNION ALL
SELECT -3, people.variant, NULL, NULL, count(*), count(*) FILTER (WHERE done.recommended), 0, 0, 0, 0, 0, 0, 0
FROM done
JOIN people USING (id)
WHERE NOT EXISTS (SELECT FROM bots WHERE bots.id = done.id)
GROUP BY people.variant;

-- answers_of_variants --
-- The first answers to the units of a phase, by variant: their times, and those in which popular items stood in.
SELECT variant, count(*) AS answers, count(*) FILTER (WHERE fallback) AS fallbacks,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) AS milliseconds,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY milliseconds) AS milliseconds_95
FROM exposed_units
WHERE tenant = :tenant AND experiment = :name AND version = ANY(:versions::int[]) AND milliseconds IS NOT NULL
  AND first_at < coalesce(:until::timestamptz, 'infinity')
GROUP BY variant
ORDER BY variant;

-- people_of_both --
-- People who were exposed to two experiments, by the variants of both, and how many of them had an event of a type since
-- then. People who met several variants of one of the two are left out.
WITH exposed AS MATERIALIZED (
    SELECT u.experiment, u.variant, u.first_at, u.mixed, coalesce(login.user_id, u.unit) AS person
    FROM exposed_units AS u
    LEFT JOIN session_users AS login ON login.tenant = u.tenant AND login.session_id = u.unit
    WHERE u.tenant = :tenant AND ((u.experiment = :name AND u.version = ANY(:versions::int[]))
        OR (u.experiment = :other AND u.version = ANY(:other_versions::int[])))
), people AS MATERIALIZED (
    SELECT person, experiment, min(variant) AS variant, min(first_at) AS first_at
    FROM exposed
    GROUP BY person, experiment
    HAVING NOT bool_or(mixed) AND min(variant) = max(variant)
), both_of AS MATERIALIZED (
    SELECT mine.person, mine.variant, theirs.variant AS other_variant,
        greatest(mine.first_at, theirs.first_at) AS first_at
    FROM people AS mine
    JOIN people AS theirs USING (person)
    WHERE mine.experiment = :name AND theirs.experiment = :other
), converted AS MATERIALIZED (
    SELECT coalesce(login.user_id, o.unit) AS person, max(o.occurred_at) AS last_at
    FROM outcomes AS o
    LEFT JOIN session_users AS login ON login.tenant = o.tenant AND login.session_id = o.unit
    WHERE o.tenant = :tenant AND o.experiment = :name AND o.version = ANY(:versions::int[])
      AND o.event_type = :event
    GROUP BY 1
)
SELECT b.variant, b.other_variant, count(*) AS people, count(c.person) AS converted
FROM both_of AS b
LEFT JOIN converted AS c ON c.person = b.person AND c.last_at >= b.first_at
GROUP BY b.variant, b.other_variant;

-- newest_sums --
-- The last stored sums of a phase.
SELECT counted_at, seconds, pre_days, metrics, sums
FROM counted_sums
WHERE tenant = :tenant AND name = :name AND phase = :phase
ORDER BY day DESC
LIMIT 1;

-- sums_of_days --
-- The stored sums of a phase, one row a day, oldest first.
SELECT counted_at, seconds, pre_days, metrics, sums
FROM counted_sums
WHERE tenant = :tenant AND name = :name AND phase = :phase
ORDER BY day;

-- store_sums --
-- Store the sums of a phase instead of earlier ones of the same day.
INSERT INTO counted_sums (tenant, name, phase, day, counted_at, seconds, pre_days, metrics, sums)
VALUES (
    :tenant, :name, :phase, (:counted_at::timestamptz AT TIME ZONE 'UTC')::date, :counted_at, :seconds, :pre_days,
    :metrics, :sums
)
ON CONFLICT (tenant, name, phase, day) DO UPDATE
SET counted_at = excluded.counted_at, seconds = excluded.seconds, pre_days = excluded.pre_days,
    metrics = excluded.metrics, sums = excluded.sums
WHERE counted_sums.counted_at < excluded.counted_at;

-- store_decided_results --
-- Store what was known when a version was decided.
INSERT INTO decided_results (tenant, name, version, results)
VALUES (:tenant, :name, :version, :results)
ON CONFLICT (tenant, name, version) DO NOTHING;

-- decided_results --
-- The results that were known when a version was decided.
SELECT results
FROM decided_results
WHERE tenant = :tenant AND name = :name AND version = :version;

-- record_interleaved --
-- Record which variant picked each item of answers; `picks` are JSON objects with the arrays item_ids and picked_by.
INSERT INTO interleaved_answers (tenant, experiment, version, recommendation_id, unit, served_at, item_ids, picked_by)
SELECT incoming.tenant, incoming.experiment, incoming.version, incoming.recommendation_id, incoming.unit, incoming.at,
    ARRAY(SELECT jsonb_array_elements_text(incoming.picks -> 'item_ids')),
    ARRAY(SELECT jsonb_array_elements_text(incoming.picks -> 'picked_by'))
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :recommendation_ids::text[], :units::text[],
    :times::timestamptz[], :picks::jsonb[]
) AS incoming (tenant, experiment, version, recommendation_id, unit, at, picks)
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = incoming.tenant AND erased.unit = incoming.unit AND incoming.at <= erased.erased_at
)
ON CONFLICT DO NOTHING;

-- credits --
-- The credits of the variants of an interleaving experiment, by metric (numbered from 1), with the number of people who
-- have exactly these; number 0 is all people who got an answer, and its credits are the number of bots.
--
-- An event is credited to the variant that picked its item in the answer that the event names, else in the person's
-- last answer before it that had the item; only answers of the last :window_seconds count. `until` is the end of the
-- second of an event that is dated in whole seconds.
WITH metrics AS MATERIALIZED (
    SELECT *
    FROM unnest(:numbers::int[], :events::text[], :measures::text[]) AS m (number, event_type, measure)
), picked AS MATERIALIZED (
    SELECT a.recommendation_id, a.served_at, coalesce(login.user_id, a.unit) AS person, pick.item_id, pick.variant
    FROM interleaved_answers AS a
    LEFT JOIN session_users AS login ON login.tenant = a.tenant AND login.session_id = a.unit
    CROSS JOIN LATERAL unnest(a.item_ids, a.picked_by) AS pick (item_id, variant)
    WHERE a.tenant = :tenant AND a.experiment = :name AND a.version = ANY(:versions::int[])
      AND a.served_at < coalesce(:until::timestamptz, 'infinity')
), happened AS MATERIALIZED (
    SELECT o.event_id, o.event_type, o.value, o.order_id, o.item_id, o.recommendation_id, o.occurred_at,
        coalesce(login.user_id, o.unit) AS person,
        CASE WHEN o.occurred_at = date_trunc('second', o.occurred_at)
            THEN o.occurred_at + interval '999999 microseconds' ELSE o.occurred_at END AS until
    FROM outcomes AS o
    LEFT JOIN session_users AS login ON login.tenant = o.tenant AND login.session_id = o.unit
    WHERE o.tenant = :tenant AND o.experiment = :name AND o.version = ANY(:versions::int[])
      AND o.event_type = ANY(:events::text[])
), bots AS MATERIALIZED (
    SELECT DISTINCT person
    FROM (
        SELECT person FROM happened GROUP BY person, date_trunc('day', occurred_at) HAVING count(*) > :bot_events
    ) AS busy
), credited AS MATERIALIZED (
    SELECT DISTINCT ON (h.event_id) h.event_type, h.event_id, h.value, h.order_id, h.item_id, p.person, p.variant
    FROM happened AS h
    JOIN picked AS p ON p.person = h.person AND p.item_id = h.item_id AND p.served_at <= h.until
        AND p.served_at > h.occurred_at - make_interval(secs => :window_seconds)
    WHERE NOT EXISTS (SELECT FROM bots WHERE bots.person = h.person)
    ORDER BY h.event_id, coalesce(p.recommendation_id = h.recommendation_id, false) DESC, p.served_at DESC
), amounts AS (
    SELECT m.number, c.person, c.variant,
        CASE m.measure
            WHEN 'conversion' THEN count(DISTINCT c.item_id)
            WHEN 'events' THEN count(*)
            WHEN 'orders' THEN count(DISTINCT coalesce(c.order_id, c.event_id))
            ELSE coalesce(sum(c.value) FILTER (WHERE abs(c.value) <= :largest), 0)
        END::float8 AS amount
    FROM metrics AS m
    JOIN credited AS c USING (event_type)
    GROUP BY m.number, m.measure, c.person, c.variant
), people AS (
    SELECT number, jsonb_object_agg(variant, amount) AS credits FROM amounts GROUP BY number, person
)
SELECT number, credits, count(*) AS people
FROM people
GROUP BY number, credits
UNION ALL
SELECT 0, jsonb_build_object('bots', (SELECT count(*) FROM bots)), count(DISTINCT person)
FROM picked
WHERE NOT EXISTS (SELECT FROM bots WHERE bots.person = picked.person);

-- lock_due_bandit --
-- The newest version of a bandit if it runs and its period is over.
SELECT *
FROM experiments AS e
WHERE tenant = :tenant AND name = :name AND version = :version AND status = 'running'
  AND started_at <= now() - make_interval(mins => :period_minutes::int)
  AND NOT EXISTS (
    SELECT FROM experiments AS later
    WHERE later.tenant = e.tenant AND later.name = e.name AND later.version > e.version
)
FOR UPDATE;

-- bandit_sums --
-- People, Σy and Σy² of a bandit's periods by version and variant, of the run to which :version belongs.
--
-- A run is a version that somebody defined, and the periods after it. A person is counted once in each period, with the
-- variant of the first exposure in it, unless several were shown. y is the reward of the person's events in
-- :reward_seconds after that; an event counts for the last exposure before it. Only people whose time for a reward is
-- over count; `exposed` are the others too.
WITH run AS MATERIALIZED (
    SELECT e.version, e.started_at, e.variants, e.disabled
    FROM experiments AS e
    WHERE e.tenant = :tenant AND e.name = :name AND e.started_at IS NOT NULL AND e.version <= :version
      AND e.version >= (
        SELECT max(f.version)
        FROM experiments AS f
        WHERE f.tenant = :tenant AND f.name = :name AND f.version <= :version
          AND NOT (f.design ->> 'kind' = 'bandit' AND f.salt LIKE '%#' || f.version)
    )
), exposed AS MATERIALIZED (
    SELECT u.version, u.unit, u.variant, u.first_at, u.mixed, coalesce(login.user_id, u.unit) AS person
    FROM exposed_units AS u
    JOIN run ON run.version = u.version
    LEFT JOIN session_users AS login ON login.tenant = u.tenant AND login.session_id = u.unit
    WHERE u.tenant = :tenant AND u.experiment = :name
), people AS MATERIALIZED (
    SELECT version, person, min(variant) AS variant, min(first_at) AS first_at
    FROM exposed
    GROUP BY version, person
    HAVING NOT bool_or(mixed) AND min(variant) = max(variant)
), happened AS MATERIALIZED (
    SELECT o.event_id, o.value, o.order_id, o.occurred_at, coalesce(login.user_id, o.unit) AS person,
        CASE WHEN o.occurred_at = date_trunc('second', o.occurred_at)
            THEN o.occurred_at + interval '999999 microseconds' ELSE o.occurred_at END AS until
    FROM outcomes AS o
    JOIN run ON run.version = o.version
    LEFT JOIN session_users AS login ON login.tenant = o.tenant AND login.session_id = o.unit
    WHERE o.tenant = :tenant AND o.experiment = :name AND o.event_type = :event
), bots AS MATERIALIZED (
    SELECT DISTINCT person
    FROM (
        SELECT person FROM happened GROUP BY person, date_trunc('day', occurred_at) HAVING count(*) > :bot_events
    ) AS busy
), rewarded AS MATERIALIZED (
    SELECT DISTINCT ON (h.event_id) h.event_id, h.value, h.order_id, p.version, p.person
    FROM happened AS h
    JOIN people AS p USING (person)
    WHERE h.until >= p.first_at AND h.occurred_at < p.first_at + make_interval(secs => :reward_seconds)
    ORDER BY h.event_id, p.first_at DESC
), amounts AS (
    SELECT version, person,
        CASE :measure::text
            WHEN 'conversion' THEN 1
            WHEN 'events' THEN count(*)
            WHEN 'orders' THEN count(DISTINCT coalesce(order_id, event_id))
            ELSE coalesce(sum(value) FILTER (WHERE abs(value) <= :largest), 0)
        END::float8 AS y
    FROM rewarded
    GROUP BY version, person
), judged AS (
    SELECT p.version, p.variant, count(*) AS exposed, count(*) FILTER (WHERE p.is_over)::float8 AS people,
        coalesce(sum(a.y) FILTER (WHERE p.is_over), 0) AS y, coalesce(sum(a.y * a.y) FILTER (WHERE p.is_over), 0) AS yy
    FROM (SELECT *, first_at <= now() - make_interval(secs => :reward_seconds) AS is_over FROM people) AS p
    LEFT JOIN amounts AS a USING (version, person)
    WHERE NOT EXISTS (SELECT FROM bots WHERE bots.person = p.person)
    GROUP BY p.version, p.variant
)
SELECT run.version, run.started_at, run.variants, run.disabled, judged.variant, judged.exposed, judged.people, judged.y,
    judged.yy
FROM run
LEFT JOIN judged USING (version)
ORDER BY run.version;

-- record_window_exposures --
-- Record units that were exposed in windows of switchbacks; the earliest exposure of a window counts.
INSERT INTO window_exposures (tenant, experiment, version, number, unit, variant, first_at)
SELECT incoming.*
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :windows::bigint[], :units::text[], :variants::text[],
    :times::timestamptz[]
) AS incoming (tenant, experiment, version, number, unit, variant, at)
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = incoming.tenant AND erased.unit = incoming.unit AND incoming.at <= erased.erased_at
)
ON CONFLICT (tenant, experiment, version, number, unit) DO UPDATE
SET first_at = least(window_exposures.first_at, excluded.first_at);

-- window_sums --
-- People and amounts of a switchback's windows, by window and metric (numbered from 1); number 0 is the people.
--
-- A person's events count from the first exposure in a window to its end, without the first :burn_in_seconds of the
-- window. `side` is y for the metric's own amount and x for what it is divided by. The variant of a window is that of
-- most people: an answer may be given right before the end of a window, and its exposure be made after it.
WITH metrics AS MATERIALIZED (
    SELECT *
    FROM unnest(:numbers::int[], :sides::text[], :events::text[], :measures::text[]) AS m (number, side, event_type, measure)
), people AS MATERIALIZED (
    SELECT e.number AS win, coalesce(login.user_id, e.unit) AS person,
        mode() WITHIN GROUP (ORDER BY e.variant) AS variant, min(e.first_at) AS first_at
    FROM window_exposures AS e
    LEFT JOIN session_users AS login ON login.tenant = e.tenant AND login.session_id = e.unit
    WHERE e.tenant = :tenant AND e.experiment = :name AND e.version = ANY(:versions::int[])
      AND e.first_at < coalesce(:until::timestamptz, 'infinity')
    GROUP BY win, person
), happened AS MATERIALIZED (
    SELECT o.event_id, o.event_type, o.value, o.order_id, o.occurred_at, coalesce(login.user_id, o.unit) AS person,
        CASE WHEN o.occurred_at = date_trunc('second', o.occurred_at)
            THEN o.occurred_at + interval '999999 microseconds' ELSE o.occurred_at END AS until,
        floor(extract(epoch FROM o.occurred_at) / :window_seconds)::bigint AS win
    FROM outcomes AS o
    LEFT JOIN session_users AS login ON login.tenant = o.tenant AND login.session_id = o.unit
    WHERE o.tenant = :tenant AND o.experiment = :name AND o.version = ANY(:versions::int[])
      AND o.event_type = ANY(:events::text[])
      AND extract(epoch FROM o.occurred_at)::numeric % :window_seconds::numeric >= :burn_in_seconds::numeric
), bots AS MATERIALIZED (
    SELECT DISTINCT person
    FROM (
        SELECT person FROM happened GROUP BY person, date_trunc('day', occurred_at) HAVING count(*) > :bot_events
    ) AS busy
), amounts AS (
    SELECT m.number, m.side, h.win, h.person,
        CASE m.measure
            WHEN 'conversion' THEN 1
            WHEN 'events' THEN count(*)
            WHEN 'orders' THEN count(DISTINCT coalesce(h.order_id, h.event_id))
            ELSE coalesce(sum(h.value) FILTER (WHERE abs(h.value) <= :largest), 0)
        END::float8 AS amount
    FROM happened AS h
    JOIN people AS p ON p.person = h.person AND p.win = h.win AND h.until >= p.first_at
    JOIN metrics AS m ON m.event_type = h.event_type
    WHERE NOT EXISTS (SELECT FROM bots WHERE bots.person = h.person)
    GROUP BY m.number, m.side, m.measure, h.win, h.person
)
SELECT 0 AS number, 'y' AS side, win, mode() WITHIN GROUP (ORDER BY variant) AS variant, count(*)::float8 AS amount
FROM people
WHERE NOT EXISTS (SELECT FROM bots WHERE bots.person = people.person)
GROUP BY win
UNION ALL
SELECT number, side, win, NULL, sum(amount)
FROM amounts
GROUP BY number, side, win
ORDER BY win, number;

-- record_shadows --
-- Record answers of variants that nobody saw; `items` are JSON objects with the array item_ids.
INSERT INTO shadow_answers (
    tenant, experiment, version, variant, recommendation_id, served_at, overlap, milliseconds, shown_milliseconds, size,
    item_ids
)
SELECT incoming.tenant, incoming.experiment, incoming.version, incoming.variant, incoming.recommendation_id, incoming.at,
    incoming.overlap, incoming.milliseconds, incoming.shown_milliseconds, incoming.size,
    ARRAY(SELECT jsonb_array_elements_text(incoming.items -> 'item_ids'))
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :variants::text[], :recommendation_ids::text[],
    :times::timestamptz[], :overlaps::float8[], :milliseconds::float8[], :shown_milliseconds::float8[], :size::bigint[],
    :items::jsonb[]
) AS incoming (
    tenant, experiment, version, variant, recommendation_id, at, overlap, milliseconds, shown_milliseconds, size, items
)
ON CONFLICT DO NOTHING;

-- shadows --
-- The answers of each variant that nobody saw, beside those that were shown to the same requests.
WITH answers AS MATERIALIZED (
    SELECT * FROM shadow_answers WHERE tenant = :tenant AND experiment = :name AND version = :version
), items AS (
    SELECT variant, count(DISTINCT item_id) AS distinct_items
    FROM answers CROSS JOIN LATERAL unnest(item_ids) AS item_id
    GROUP BY variant
)
SELECT variant, count(*) AS answers, avg(overlap) AS overlap,
    sum(cardinality(item_ids))::float8 / sum(size)::float8 AS filled, coalesce(min(distinct_items), 0) AS distinct_items,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) AS milliseconds,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY milliseconds) AS milliseconds_95,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY shown_milliseconds) AS shown_milliseconds,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY shown_milliseconds) AS shown_milliseconds_95
FROM answers
LEFT JOIN items USING (variant)
GROUP BY variant;

-- delete_old_interleaved --
-- Delete up to :rows interleaved answers that are older than :days; return their number.
WITH deleted AS (
    DELETE FROM interleaved_answers
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM interleaved_answers WHERE served_at < now() - make_interval(days => :days::int) LIMIT :rows
    ))
    RETURNING 1
)
SELECT count(*) FROM deleted;

-- delete_old_shadows --
-- Delete up to :rows shadow answers that are older than :days; return their number.
WITH deleted AS (
    DELETE FROM shadow_answers
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM shadow_answers WHERE served_at < now() - make_interval(days => :days::int) LIMIT :rows
    ))
    RETURNING 1
)
SELECT count(*) FROM deleted;

-- rewarded_items --
-- The items of answers with an event of a type that names the answer.
SELECT DISTINCT e.recommendation_id, e.item_id
FROM tracker.interactions_v1 AS e
WHERE e.tenant = :tenant AND e.occurred_at >= :since AND e.event_type = :event AND e.item_id IS NOT NULL
  AND (e.user_id = ANY(:subjects::text[]) OR e.session_id = ANY(:subjects::text[]))
  AND e.recommendation_id = ANY(:ids::text[]);

-- tenants_of_account --
-- The tenants of an account.
SELECT array_agg(tenant ORDER BY tenant) AS tenants
FROM engine.accounts_v1
WHERE account = :account;

-- tenant_of_campaign --
-- The tenant of a campaign.
SELECT c.tenant
FROM engine.campaigns_v1 c
JOIN engine.accounts_v1 a ON a.tenant = c.tenant
WHERE a.account = :account AND c.name = :name
LIMIT 1;

-- add_erased_units --
-- Mark units as erased; return the rows that earlier attempts at the same request have counted.
INSERT INTO erased_units (tenant, unit, erasure_id, erased_at)
SELECT :tenant, unit, :erasure_id, :erased_at FROM unnest(:units::text[]) AS unit
ON CONFLICT (tenant, unit) DO UPDATE
SET erasure_id = excluded.erasure_id, erased_at = greatest(erased_units.erased_at, excluded.erased_at),
    rows = CASE WHEN erased_units.erasure_id = excluded.erasure_id THEN erased_units.rows ELSE '{}' END
RETURNING unit, rows;

-- count_erased --
-- Store the number of erased rows of a unit.
UPDATE erased_units SET rows = :rows WHERE tenant = :tenant AND unit = :unit;

-- forget_erased_units --
-- Delete marks so old that no topic holds earlier records of their units.
DELETE FROM erased_units WHERE erased_at < now() - interval '15 days';

-- rename_exposed --
-- Rename the unit of exposures, which still count.
UPDATE exposed_units SET unit = :name
WHERE tenant = :tenant AND unit = :unit AND first_at <= :erased_at
RETURNING experiment;

-- rename_outcomes --
-- Rename the unit of outcomes, which still count; return a row for each outcome that was not renamed before.
WITH renamed AS (
    UPDATE outcomes
    SET unit = CASE WHEN unit = :unit THEN :name ELSE unit END,
        session_id = CASE WHEN session_id = :unit THEN :name ELSE session_id END
    WHERE tenant = :tenant AND (unit = :unit OR session_id = :unit) AND occurred_at <= :erased_at
    RETURNING experiment, unit = :name OR NOT starts_with(unit, 'erased:') AS is_first
)
SELECT experiment FROM renamed WHERE is_first;

-- rename_interleaved --
-- Rename the unit of interleaved answers, which still count.
UPDATE interleaved_answers SET unit = :name WHERE tenant = :tenant AND unit = :unit AND served_at <= :erased_at;

-- rename_window_exposures --
-- Rename the unit of exposures in windows, which still count.
UPDATE window_exposures SET unit = :name WHERE tenant = :tenant AND unit = :unit AND first_at <= :erased_at;

-- rename_logins --
-- Rename the user and the session of logins.
UPDATE session_users
SET session_id = CASE WHEN session_id = :unit THEN :name ELSE session_id END,
    user_id = CASE WHEN user_id = :unit THEN :name ELSE user_id END
WHERE tenant = :tenant AND (session_id = :unit OR user_id = :unit) AND first_at <= :erased_at;

-- lock_counts --
-- Wait for transactions that write counts, and let no other begin until the erasure is committed.
LOCK TABLE exposed_units, outcomes, session_users, interleaved_answers, window_exposures IN SHARE ROW EXCLUSIVE MODE;
