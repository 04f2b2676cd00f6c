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
-- What units did, each event once.
INSERT INTO outcomes (tenant, experiment, version, event_id, unit, event_type, value, occurred_at)
SELECT one.*
FROM unnest(
    :tenants::text[], :experiments::text[], :versions::int[], :event_ids::text[], :units::text[],
    :event_types::text[], :values::float8[], :times::timestamptz[]
) AS one (tenant, experiment, version, event_id, unit, event_type, value, at)
WHERE NOT EXISTS (
    SELECT FROM erased_units AS erased
    WHERE erased.tenant = one.tenant AND erased.unit = one.unit AND one.at <= erased.erased_at
)
ON CONFLICT DO NOTHING;

-- correct_outcomes --
-- The outcomes of claims that an order contradicts, in every experiment that ever ran: a unit of the claim that the
-- order names as well keeps its outcome with what the order says, any other unit of the claim loses it.
WITH correction AS (
    SELECT c.*, e.name AS experiment, e.version
    FROM unnest(
        :tenants::text[], :event_ids::text[], :units::text[], :stays::boolean[], :event_types::text[],
        :values::float8[], :times::timestamptz[]
    ) AS c (tenant, event_id, unit, stays, event_type, value, occurred_at)
    JOIN experiments AS e ON e.tenant = c.tenant AND e.started_at IS NOT NULL
), gone AS (
    DELETE FROM outcomes AS o USING correction AS c
    WHERE (o.tenant, o.experiment, o.version, o.event_id, o.unit)
        = (c.tenant, c.experiment, c.version, c.event_id, c.unit)
      AND NOT c.stays
)
UPDATE outcomes AS o
SET event_type = c.event_type, value = c.value, occurred_at = c.occurred_at
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

-- results --
-- What the exposed did from their first exposure on, by variant and type. A value beyond the largest that
-- intake accepts is older than that bound: the sum leaves it out, or it could overflow for ever.
SELECT u.variant, o.event_type, count(*) AS events, count(DISTINCT o.unit) AS units,
    sum(o.value) FILTER (WHERE abs(o.value) <= :largest) AS value,
    count(o.value) FILTER (WHERE NOT abs(o.value) <= :largest) AS values_left_out
FROM exposed_units u
JOIN outcomes o USING (tenant, experiment, version, unit)
WHERE u.tenant = :tenant
  AND u.experiment = :name
  AND u.version = :version
  AND o.occurred_at >= u.first_at
GROUP BY u.variant, o.event_type
ORDER BY u.variant, o.event_type;

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
-- Outcomes keep counting, under the same name.
UPDATE outcomes SET unit = :name
WHERE tenant = :tenant AND unit = :unit AND occurred_at <= :erased_at
RETURNING experiment;

-- lock_counts --
-- Wait for batches that are being counted, and let no other begin until the erasure is there to be seen.
LOCK TABLE exposed_units, outcomes IN SHARE ROW EXCLUSIVE MODE;
