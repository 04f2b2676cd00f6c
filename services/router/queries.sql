-- lock_tenant --
-- One change of a tenant's experiments at a time.
SELECT pg_advisory_xact_lock(hashtext('router.experiments'), hashtext(:tenant));

-- latest --
-- The newest version of an experiment.
SELECT tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE tenant = :tenant AND name = :name
ORDER BY version DESC
LIMIT 1;

-- one --
-- One version of an experiment.
SELECT tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE tenant = :tenant AND name = :name AND version = :version;

-- every --
-- The newest version of each experiment of a tenant.
SELECT DISTINCT ON (name)
    tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE tenant = :tenant
ORDER BY name, version DESC;

-- count_open --
-- Experiments of a tenant that may serve now or later, and the versions of one of them.
SELECT
    count(DISTINCT name) FILTER (WHERE status IN ('draft', 'running') AND name <> :name) AS others,
    count(*) FILTER (WHERE name = :name) AS versions
FROM experiments
WHERE tenant = :tenant;

-- delete_drafts --
-- The versions of an experiment that never served.
DELETE FROM experiments
WHERE tenant = :tenant AND name = :name AND status = 'draft'
RETURNING version;

-- relevant --
-- What is running, and what was stopped lately, whose last events may still come.
SELECT tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE status = 'running' OR stopped_at > now() - interval '1 day';

-- add --
-- A new version; drafts serve nobody.
INSERT INTO experiments (tenant, name, version, surface, traffic, salt, variants)
VALUES (:tenant, :name, :version, :surface, :traffic, :salt, :variants);

-- running_on --
-- Which other experiment runs on a surface.
SELECT name
FROM experiments
WHERE tenant = :tenant AND surface = :surface AND status = 'running' AND name <> :name;

-- stop --
-- Whatever version of the experiment runs stops.
UPDATE experiments
SET status = 'stopped', stopped_at = now()
WHERE tenant = :tenant AND name = :name AND status = 'running'
RETURNING version;

-- start --
-- A version begins to serve.
UPDATE experiments
SET status = 'running', started_at = coalesce(started_at, now()), stopped_at = NULL
WHERE tenant = :tenant AND name = :name AND version = :version;

-- expose --
-- Units that were exposed: the first time counts, in whatever order the events come.
INSERT INTO exposed_units (tenant, experiment, version, unit, variant, first_at)
SELECT one.*
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :units::text[], :variants::text[],
    :times::timestamptz[]
) AS one (tenant, experiment, version, unit, variant, at)
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = one.tenant AND erased.unit = one.unit AND one.at <= erased.erased_at
)
ON CONFLICT (tenant, experiment, version, unit) DO UPDATE
SET first_at = least(exposed_units.first_at, excluded.first_at),
    mixed = exposed_units.mixed OR exposed_units.variant <> excluded.variant;

-- record_outcomes --
-- What users and sessions did, each event once. A row of before that names only one of an event's two units gets
-- the other when the event comes again.
INSERT INTO outcomes AS kept (
    tenant, experiment, version, event_id, unit, session_id, event_type, value, occurred_at
)
SELECT one.tenant, one.experiment, one.version, one.event_id, one.unit,
    CASE WHEN NOT EXISTS (
        SELECT FROM erased_units AS erased
        WHERE erased.tenant = one.tenant AND erased.unit = one.session_id AND one.at <= erased.erased_at
    ) THEN one.session_id END,
    one.event_type, one.value, one.at
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :event_ids::text[], :units::text[],
    :session_ids::text[], :event_types::text[], :values::float8[], :times::timestamptz[]
) AS one (tenant, experiment, version, event_id, unit, session_id, event_type, value, at)
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = one.tenant AND erased.unit = one.unit AND one.at <= erased.erased_at
)
ON CONFLICT (tenant, experiment, version, event_id) DO UPDATE
SET unit = excluded.unit, session_id = excluded.session_id
WHERE kept.session_id IS NULL AND kept.unit IN (excluded.unit, excluded.session_id)
  AND excluded.session_id IS NOT NULL;

-- tie_sessions --
-- Sessions that users logged in to; the first login holds, in whatever order they come. A tie in which neither side
-- takes part in an experiment is kept when its user has another one.
INSERT INTO session_users AS kept (tenant, session_id, user_id, first_at)
SELECT one.tenant, one.session_id, one.user_id, one.at
FROM unnest(
    :tenants::text[], :session_ids::text[], :user_ids::text[], :times::timestamptz[], :take_part::boolean[]
) AS one (tenant, session_id, user_id, at, takes_part)
WHERE NOT EXISTS (
    SELECT FROM session_users AS tie
    WHERE tie.tenant = one.tenant AND tie.session_id = one.session_id
      AND (tie.first_at, tie.user_id) <= (one.at, one.user_id)
)
  AND (one.takes_part OR EXISTS (
    SELECT FROM session_users AS tie WHERE tie.tenant = one.tenant AND tie.user_id = one.user_id
))
  AND NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = one.tenant AND erased.unit IN (one.session_id, one.user_id)
      AND one.at <= erased.erased_at
)
ORDER BY one.tenant, one.session_id
ON CONFLICT (tenant, session_id) DO UPDATE
SET user_id = excluded.user_id, first_at = excluded.first_at
WHERE (excluded.first_at, excluded.user_id) < (kept.first_at, kept.user_id);

-- tie_exposed --
-- Sessions that were exposed, and that a user had logged in to before: the log knows it. Of a session the oldest
-- :most events are read, so that a session which a storefront uses for everybody costs no more than others.
INSERT INTO session_users AS kept (tenant, session_id, user_id, first_at)
SELECT one.tenant, one.unit, login.user_id, login.occurred_at
FROM (
    SELECT DISTINCT tenant, unit FROM unnest(:tenants::text[], :units::text[]) AS exposed (tenant, unit)
) AS one
CROSS JOIN LATERAL (
    SELECT oldest.user_id, oldest.occurred_at
    FROM (
        SELECT event.user_id, event.occurred_at
        FROM tracker.interactions_v1 AS event
        WHERE event.tenant = one.tenant AND event.session_id = one.unit
        ORDER BY event.occurred_at
        LIMIT :most
    ) AS oldest
    WHERE oldest.user_id <> one.unit
    ORDER BY oldest.occurred_at, oldest.user_id
    LIMIT 1
) AS login
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = one.tenant AND erased.unit IN (one.unit, login.user_id)
      AND login.occurred_at <= erased.erased_at
)
ORDER BY one.tenant, one.unit
ON CONFLICT (tenant, session_id) DO UPDATE
SET user_id = excluded.user_id, first_at = excluded.first_at
WHERE (excluded.first_at, excluded.user_id) < (kept.first_at, kept.user_id);

-- tied --
-- Which of these users and sessions have a tie, by their places from 1.
SELECT one.place
FROM unnest(:tenants::text[], :user_ids::text[], :session_ids::text[])
    WITH ORDINALITY AS one (tenant, user_id, session_id, place)
WHERE EXISTS (
    SELECT FROM session_users AS tie WHERE tie.tenant = one.tenant AND tie.user_id = one.user_id
)
   OR EXISTS (
    SELECT FROM session_users AS tie WHERE tie.tenant = one.tenant AND tie.session_id = one.session_id
);

-- correct_outcomes --
-- The outcomes of claims that an order contradicts, in every experiment that ever ran: a unit of the claim that the
-- order names as well keeps its outcome with what the order says, any other unit of the claim loses it.
WITH correction AS (
    SELECT c.*, e.name AS experiment, e.version
    FROM unnest(
        :tenants::text[], :event_ids::text[], :units::text[], :stays::boolean[], :session_ids::text[],
        :event_types::text[], :values::float8[], :times::timestamptz[]
    ) AS c (tenant, event_id, unit, stays, session_id, event_type, value, occurred_at)
    JOIN experiments AS e ON e.tenant = c.tenant AND e.started_at IS NOT NULL
), gone AS (
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
-- How many units each variant was shown to.
SELECT variant, count(*) AS units, count(*) FILTER (WHERE mixed) AS mixed
FROM exposed_units
WHERE tenant = :tenant AND experiment = :name AND version = :version
GROUP BY variant;

-- crossed --
-- How many users saw several variants, under ids of their own: as a visitor, and after they had logged in.
SELECT count(*)
FROM (
    SELECT coalesce(tie.user_id, u.unit) AS person
    FROM exposed_units AS u
    LEFT JOIN session_users AS tie ON tie.tenant = u.tenant AND tie.session_id = u.unit
    WHERE u.tenant = :tenant AND u.experiment = :name AND u.version = :version
    GROUP BY person
    HAVING min(u.variant) <> max(u.variant)
) AS people;

-- results --
-- What the exposed did from their first exposure on, by variant and type; a variant counts an event once. A unit is a
-- user or a session; it did what it is named in, and what the user did whose session it is, whatever they were known
-- as. An event dated in whole seconds may have happened up to the end of its second. A value beyond the largest that
-- intake accepts is older than that bound: the sum leaves it out, or it could overflow for ever.
WITH exposed AS MATERIALIZED (
    SELECT u.unit, u.variant, u.first_at, coalesce(tie.user_id, u.unit) AS person
    FROM exposed_units AS u
    LEFT JOIN session_users AS tie ON tie.tenant = u.tenant AND tie.session_id = u.unit
    WHERE u.tenant = :tenant AND u.experiment = :name AND u.version = :version
), happened AS MATERIALIZED (
    SELECT o.event_id, o.event_type, o.value, o.session_id, coalesce(tie.user_id, o.unit) AS person,
        CASE WHEN o.occurred_at = date_trunc('second', o.occurred_at)
            THEN o.occurred_at + interval '999999 microseconds' ELSE o.occurred_at END AS until
    FROM outcomes AS o
    LEFT JOIN session_users AS tie ON tie.tenant = o.tenant AND tie.session_id = o.unit
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

-- tenants_of_account --
-- The tenants among which an AWS key pair may choose.
SELECT array_agg(tenant ORDER BY tenant) AS tenants
FROM engine.accounts_v1
WHERE account = :account;

-- tenant_of_campaign --
-- Whose campaign it is.
SELECT c.tenant
FROM engine.campaigns_v1 c
JOIN engine.accounts_v1 a ON a.tenant = c.tenant
WHERE a.account = :account AND c.name = :name
LIMIT 1;

-- add_erased_units --
-- Nothing of these units may be kept; gives what earlier handling of the same request has counted.
INSERT INTO erased_units (tenant, unit, erasure_id, erased_at)
SELECT :tenant, unit, :erasure_id, :erased_at FROM unnest(:units::text[]) AS unit
ON CONFLICT (tenant, unit) DO UPDATE
SET erasure_id = excluded.erasure_id, erased_at = greatest(erased_units.erased_at, excluded.erased_at),
    rows = CASE WHEN erased_units.erasure_id = excluded.erasure_id THEN erased_units.rows ELSE '{}' END
RETURNING unit, rows;

-- count_erased --
-- What went of a unit.
UPDATE erased_units SET rows = :rows WHERE tenant = :tenant AND unit = :unit;

-- forget_erased_units --
-- Units whose records of before have left every topic.
DELETE FROM erased_units WHERE erased_at < now() - interval '15 days';

-- rename_exposed --
-- Exposures keep counting, under a name that says nothing of whose they were.
UPDATE exposed_units SET unit = :name
WHERE tenant = :tenant AND unit = :unit AND first_at <= :erased_at
RETURNING experiment;

-- rename_outcomes --
-- Outcomes keep counting, under the same name; gives one row for each outcome that got its first such name.
WITH renamed AS (
    UPDATE outcomes
    SET unit = CASE WHEN unit = :unit THEN :name ELSE unit END,
        session_id = CASE WHEN session_id = :unit THEN :name ELSE session_id END
    WHERE tenant = :tenant AND (unit = :unit OR session_id = :unit) AND occurred_at <= :erased_at
    RETURNING experiment, unit = :name OR NOT starts_with(unit, 'erased:') AS is_first
)
SELECT experiment FROM renamed WHERE is_first;

-- rename_ties --
-- Ties of sessions and users hold under the same names.
UPDATE session_users
SET session_id = CASE WHEN session_id = :unit THEN :name ELSE session_id END,
    user_id = CASE WHEN user_id = :unit THEN :name ELSE user_id END
WHERE tenant = :tenant AND (session_id = :unit OR user_id = :unit) AND first_at <= :erased_at;

-- lock_counts --
-- Wait for batches that are being counted, and let no other begin until the erasure is there to be seen.
LOCK TABLE exposed_units, outcomes, session_users IN SHARE ROW EXCLUSIVE MODE;
