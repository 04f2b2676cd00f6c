-- lock_tenant --
-- Lock a tenant's experiments until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtext('router.experiments'), hashtext(:tenant));

-- latest --
-- The newest version of an experiment.
SELECT tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE tenant = :tenant AND name = :name
ORDER BY version DESC
LIMIT 1;

-- version --
-- A version of an experiment.
SELECT tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE tenant = :tenant AND name = :name AND version = :version;

-- latest_versions --
-- The newest version of each experiment of a tenant.
SELECT DISTINCT ON (name)
    tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE tenant = :tenant
ORDER BY name, version DESC;

-- count_open --
-- The number of other draft and running experiments of a tenant, and of the versions of one experiment.
SELECT
    count(DISTINCT name) FILTER (WHERE status IN ('draft', 'running') AND name <> :name) AS open_experiments,
    count(*) FILTER (WHERE name = :name) AS versions
FROM experiments
WHERE tenant = :tenant;

-- delete_drafts --
-- Delete the versions of an experiment that never ran.
DELETE FROM experiments
WHERE tenant = :tenant AND name = :name AND status = 'draft'
RETURNING version;

-- running_or_recent --
-- Running experiments, and recently stopped ones, whose last events may still arrive.
SELECT tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE status = 'running' OR stopped_at > now() - interval '1 day';

-- add --
-- Add a version, as a draft.
INSERT INTO experiments (tenant, name, version, surface, traffic, salt, variants)
VALUES (:tenant, :name, :version, :surface, :traffic, :salt, :variants);

-- running_on --
-- The name of another experiment that runs on a surface.
SELECT name
FROM experiments
WHERE tenant = :tenant AND surface = :surface AND status = 'running' AND name <> :name;

-- stop --
-- Stop the running version of an experiment.
UPDATE experiments
SET status = 'stopped', stopped_at = now()
WHERE tenant = :tenant AND name = :name AND status = 'running'
RETURNING tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at;

-- start --
-- Start a version.
UPDATE experiments
SET status = 'running', started_at = coalesce(started_at, now()), stopped_at = NULL
WHERE tenant = :tenant AND name = :name AND version = :version
RETURNING tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at;

-- record_exposures --
-- Record exposed units; the earliest exposure counts, in whatever order the events arrive.
INSERT INTO exposed_units (tenant, experiment, version, unit, variant, first_at)
SELECT incoming.*
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :units::text[], :variants::text[],
    :times::timestamptz[]
) AS incoming (tenant, experiment, version, unit, variant, at)
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = incoming.tenant AND erased.unit = incoming.unit AND incoming.at <= erased.erased_at
)
ON CONFLICT (tenant, experiment, version, unit) DO UPDATE
SET first_at = least(exposed_units.first_at, excluded.first_at),
    mixed = exposed_units.mixed OR exposed_units.variant <> excluded.variant;

-- record_outcomes --
-- Record events of users and sessions, each once. An earlier row that has only one of an event's two units gets
-- the other when the event is recorded again.
INSERT INTO outcomes AS kept (
    tenant, experiment, version, event_id, unit, session_id, event_type, value, occurred_at
)
SELECT incoming.tenant, incoming.experiment, incoming.version, incoming.event_id, incoming.unit,
    CASE WHEN NOT EXISTS (
        SELECT FROM erased_units AS erased
        WHERE erased.tenant = incoming.tenant AND erased.unit = incoming.session_id AND incoming.at <= erased.erased_at
    ) THEN incoming.session_id END,
    incoming.event_type, incoming.value, incoming.at
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :event_ids::text[], :units::text[],
    :session_ids::text[], :event_types::text[], :values::float8[], :times::timestamptz[]
) AS incoming (tenant, experiment, version, event_id, unit, session_id, event_type, value, at)
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
        SELECT event.user_id, event.occurred_at
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

-- rename_logins --
-- Rename the user and the session of logins.
UPDATE session_users
SET session_id = CASE WHEN session_id = :unit THEN :name ELSE session_id END,
    user_id = CASE WHEN user_id = :unit THEN :name ELSE user_id END
WHERE tenant = :tenant AND (session_id = :unit OR user_id = :unit) AND first_at <= :erased_at;

-- lock_counts --
-- Wait for transactions that write counts, and let no other begin until the erasure is committed.
LOCK TABLE exposed_units, outcomes, session_users IN SHARE ROW EXCLUSIVE MODE;
