-- add_account --
-- Create an account unless it exists.
INSERT INTO accounts (id) VALUES (:account) ON CONFLICT DO NOTHING;

-- lock_account --
-- Run the changes of one account that count resources one after the other.
SELECT id FROM accounts WHERE id = :account FOR UPDATE;

-- tenant_ids --
-- Return the tenant ids that were ever used: the prefix itself, and those with a suffix after a dash.
SELECT id FROM tenants WHERE id = :prefix OR id LIKE :prefix || '-%';

-- add_tenant --
-- Create the tenant of a new dataset group.
INSERT INTO tenants (id, account, dataset_group) VALUES (:tenant, :account, :dataset_group);

-- retire_tenant --
-- Retire the tenant of a deleted dataset group; its id is never used again.
UPDATE tenants SET retired_at = now() WHERE id = :tenant;

-- tenant_account --
-- Return the account of a tenant that is not retired.
SELECT account FROM tenants WHERE id = :tenant AND retired_at IS NULL;

-- tenant_of_group --
-- Return the tenant of a dataset group that is not retired.
SELECT id FROM tenants WHERE account = :account AND dataset_group = :dataset_group AND retired_at IS NULL;

-- drop_tenant_keys --
-- Delete the API keys of a tenant.
DELETE FROM keys WHERE tenant = :tenant;

-- add_resource --
-- Insert a resource unless its path is taken.
INSERT INTO resources (account, tenant, type, path, parent, arn, name, status, document, facts)
VALUES (:account, :tenant, :type, :path, :parent, :arn, :name, :status, :document, :facts)
ON CONFLICT (account, path) DO NOTHING
RETURNING *;

-- resource --
-- Return the resource at a path of an account, as a tenant sees it, or with null the entire account.
SELECT *, extract(epoch FROM now() - updated_at)::float8 AS age_seconds FROM resources
WHERE account = :account
  AND path = :path
  AND (:tenant::text IS NULL OR tenant IS NULL OR tenant = :tenant)
  AND (status <> 'DELETE PENDING' OR updated_at > now() - make_interval(secs => :delete_seconds::float8));

-- locked_resource --
-- Return the same, and lock the row, so that nothing is created below a resource that is being deleted.
SELECT *, extract(epoch FROM now() - updated_at)::float8 AS age_seconds FROM resources
WHERE account = :account
  AND path = :path
  AND (:tenant::text IS NULL OR tenant IS NULL OR tenant = :tenant)
  AND (status <> 'DELETE PENDING' OR updated_at > now() - make_interval(secs => :delete_seconds::float8))
FOR UPDATE;

-- resource_by_id --
-- Return the resource of a job unless it was deleted.
SELECT * FROM resources WHERE id = :id AND status <> 'DELETE PENDING';

-- resources --
-- Return one page of the resources of a type, newest first.
SELECT *, extract(epoch FROM now() - updated_at)::float8 AS age_seconds FROM resources
WHERE account = :account
  AND type = :type
  AND (:tenant::text IS NULL OR tenant IS NULL OR tenant = :tenant)
  AND (status <> 'DELETE PENDING' OR updated_at > now() - make_interval(secs => :delete_seconds::float8))
  AND (:parent::text IS NULL OR parent = :parent)
  AND (:before::bigint IS NULL OR id < :before)
ORDER BY id DESC
LIMIT :limit;

-- children --
-- Return the resources of some types below a parent, newest first.
SELECT *, extract(epoch FROM now() - updated_at)::float8 AS age_seconds FROM resources
WHERE account = :account AND parent = :parent AND type = ANY(:types::text[])
  AND (
      status <> 'DELETE PENDING'
      OR (:with_deleting::boolean AND updated_at > now() - make_interval(secs => :delete_seconds::float8))
  )
ORDER BY id DESC;

-- count_resources --
-- Count the resources of a type of an account, or of one of its tenants, up to a limit.
SELECT count(*) FROM (
    SELECT FROM resources
    WHERE account = :account AND type = :type AND (:tenant::text IS NULL OR tenant = :tenant)
      AND status <> 'DELETE PENDING'
    LIMIT :limit
) AS counted;

-- count_unfinished --
-- Count the resources of a type of a tenant that are pending or in progress.
SELECT count(*) FROM resources
WHERE tenant = :tenant AND type = :type AND status = ANY(:statuses::text[]);

-- count_with_document --
-- Count the resources of an account with these members in their document.
SELECT count(*) FROM resources WHERE account = :account AND type = :type AND document @> :members;

-- update_resource --
-- Replace the status, the failure reason, the document and the facts of a resource.
UPDATE resources
SET status = :status, failure_reason = :failure_reason, document = :document, facts = :facts,
    updated_at = now()
WHERE id = :id
RETURNING *;

-- move_resource --
-- Move a resource below another one.
UPDATE resources SET parent = :parent WHERE id = :id;

-- unfinished_resource --
-- Return the resource of a job if it has not ended, and lock the row.
SELECT * FROM resources
WHERE id = :id AND status <> ALL(ARRAY['ACTIVE', 'CREATE FAILED', 'CREATE STOPPED', 'DELETE PENDING'])
FOR UPDATE;

-- should_run --
-- Return whether the resource of a job exists and is neither being stopped nor deleted.
SELECT EXISTS (
    SELECT FROM resources WHERE id = :id AND status <> ALL(ARRAY['CREATE STOPPING', 'DELETE PENDING'])
);

-- set_facts --
-- Replace the facts of a resource, which does not count as an update of it.
UPDATE resources SET facts = :facts WHERE id = :id;

-- resource_named --
-- Return whether a resource of a type has a name.
SELECT 1 FROM resources WHERE account = :account AND type = :type AND name = :name LIMIT 1;

-- solutions_due --
-- Lock solutions whose automatic training is due: 55 minutes after creation, then after 7 days or their schedule.
SELECT solutions.* FROM resources AS solutions
WHERE solutions.type = 'solution'
  AND (:ids::bigint[] IS NULL OR solutions.id = ANY(:ids::bigint[]))
  AND solutions.status = 'ACTIVE'
  AND solutions.document -> 'performAutoTraining' = 'true'::jsonb
  AND coalesce(
      (
          SELECT max(versions.created_at) + make_interval(days => coalesce(substring(
              solutions.document #>> '{solutionConfig,autoTrainingConfig,schedulingExpression}'
              FROM '[0-9]+'
          )::int, 7))
          FROM resources AS versions
          WHERE versions.account = solutions.account
            AND versions.parent = solutions.path
            AND versions.type = 'solution-version'
      ),
      solutions.created_at + interval '55 minutes'
  ) < now()
ORDER BY solutions.id
LIMIT 20
FOR UPDATE SKIP LOCKED;

-- recommenders_due --
-- Lock recommenders whose newest training is 7 days old.
SELECT recommenders.* FROM resources AS recommenders
WHERE recommenders.type = 'recommender'
  AND (:ids::bigint[] IS NULL OR recommenders.id = ANY(:ids::bigint[]))
  AND recommenders.status = 'ACTIVE'
  AND (
      SELECT max(trainings.created_at) FROM resources AS trainings
      WHERE trainings.account = recommenders.account
        AND trainings.parent = recommenders.path
        AND trainings.type = 'recommender-training'
  ) < now() - interval '7 days'
ORDER BY recommenders.id
LIMIT 20
FOR UPDATE SKIP LOCKED;

-- versions_to_renew --
-- Lock the newest versions of solutions with incremental updates if items changed after their model was made.
SELECT versions.* FROM resources AS versions
JOIN resources AS solutions
    ON solutions.account = versions.account AND solutions.path = versions.parent AND solutions.type = 'solution'
CROSS JOIN LATERAL (
    SELECT greatest(versions.created_at, max(renewals.created_at)) AS made_at,
           coalesce(bool_or(renewals.status IN ('CREATE PENDING', 'CREATE IN_PROGRESS')), false) AS under_way
    FROM resources AS renewals
    WHERE renewals.account = versions.account
      AND renewals.parent = versions.path
      AND renewals.type = 'model-renewal'
) AS latest
WHERE versions.type = 'solution-version'
  AND (:ids::bigint[] IS NULL OR versions.id = ANY(:ids::bigint[]))
  AND versions.status = 'ACTIVE'
  AND versions.facts ? 'model_uri'
  AND solutions.document -> 'performIncrementalUpdate' = 'true'::jsonb
  AND NOT latest.under_way
  AND latest.made_at < now() - make_interval(secs => 60 * :minutes::float8)
  AND NOT EXISTS (
      SELECT FROM resources AS newer
      WHERE newer.account = versions.account AND newer.parent = versions.parent
        AND newer.type = versions.type AND newer.status = 'ACTIVE' AND newer.id > versions.id
  )
  AND (
      EXISTS (
          SELECT FROM sync.items_v1 AS items
          WHERE items.tenant = versions.tenant AND items.updated_at > latest.made_at
      )
      OR EXISTS (
          SELECT FROM resources AS datasets
          JOIN resources AS imports
              ON imports.account = datasets.account AND imports.parent = datasets.path
              AND imports.type = 'dataset-import-job'
          WHERE datasets.account = solutions.account AND datasets.parent = solutions.parent
            AND datasets.type = 'dataset' AND datasets.document ->> 'datasetType' = 'ITEMS'
            AND imports.status = 'ACTIVE' AND imports.updated_at > latest.made_at
      )
  )
ORDER BY versions.id
LIMIT 20
FOR UPDATE OF versions SKIP LOCKED;

-- delete_resource --
-- Delete a resource at once.
DELETE FROM resources WHERE id = :id;

-- end_deletions --
-- Delete the resources whose deletion was shown for long enough, of one account or with null of all accounts.
DELETE FROM resources
WHERE id IN (
    SELECT id FROM resources
    WHERE status = 'DELETE PENDING'
      AND (:account::text IS NULL OR account = :account)
      AND updated_at <= now() - make_interval(secs => :delete_seconds::float8)
    ORDER BY id
    FOR UPDATE
);

-- begin_invocation --
-- Claim a call by the id that its retries share; return no row if it was claimed before.
INSERT INTO invocations (account, tenant, operation, invocation)
VALUES (:account, coalesce(:tenant::text, ''), :operation, :invocation)
ON CONFLICT DO NOTHING
RETURNING 1;

-- finish_invocation --
-- Save the answer to a call.
UPDATE invocations SET response = :response
WHERE account = :account AND tenant = coalesce(:tenant::text, '')
  AND operation = :operation AND invocation = :invocation;

-- invocation --
-- Return the answer to the first attempt at a call.
SELECT response FROM invocations
WHERE account = :account AND tenant = coalesce(:tenant::text, '')
  AND operation = :operation AND invocation = :invocation;

-- forget_invocations --
-- Delete the answers to calls after a day, when no client retries them.
DELETE FROM invocations WHERE created_at < now() - interval '1 day';

-- begin_replay --
-- Register the replay of a record; returns no row if it was replayed before.
INSERT INTO dead_letter_replays (tenant, topic, partition, record_offset, record_id, replayed_by)
VALUES (:tenant, :topic, :partition, :record_offset, :record_id, :replayed_by)
ON CONFLICT DO NOTHING
RETURNING replayed_at;

-- replays --
-- Return which of the records were replayed; the lists have one element for each record.
SELECT r.topic, r.partition, r.record_offset, r.record_id, r.replayed_at
FROM unnest(:topics::text[], :partitions::integer[], :record_offsets::bigint[], :record_ids::text[])
    AS l (topic, partition, record_offset, record_id)
INNER JOIN dead_letter_replays AS r USING (topic, partition, record_offset, record_id)
WHERE r.tenant = :tenant;

-- forget_replays --
-- Delete replays after 30 days: Kafka keeps dead letters for 14.
DELETE FROM dead_letter_replays WHERE replayed_at < now() - interval '30 days';

-- dataset_parts --
-- Return the Parquet objects of a dataset, oldest first.
SELECT key, rows, bytes FROM dataset_parts WHERE dataset = :dataset ORDER BY position;

-- drop_dataset_parts --
-- Remove all objects of a dataset, before a FULL import adds its own.
DELETE FROM dataset_parts WHERE dataset = :dataset RETURNING key;

-- drop_import_parts --
-- Remove the objects that an earlier attempt at the same import has added.
DELETE FROM dataset_parts WHERE dataset = :dataset AND import = :import;

-- add_dataset_part --
-- Add an object to a dataset.
INSERT INTO dataset_parts (dataset, import, key, rows, bytes)
VALUES (:dataset, :import, :key, :rows, :bytes);

-- add_garbage --
-- Schedule the deletion of a prefix of the data bucket.
INSERT INTO garbage (prefix, delete_after) VALUES (:prefix, now() + make_interval(secs => 3600 * :hours::float8))
ON CONFLICT (prefix) DO NOTHING;

-- models_to_retire --
-- Lock versions behind the newest ones of their solution whose models nothing serves or reads.
SELECT versions.id FROM resources AS versions
WHERE versions.type = 'solution-version' AND versions.status = 'ACTIVE' AND versions.facts ? 'model_uri'
  AND :keep <= (
      SELECT count(*) FROM resources AS newer
      WHERE newer.account = versions.account AND newer.parent = versions.parent
        AND newer.type = versions.type AND newer.status = 'ACTIVE' AND newer.id > versions.id
  )
  AND NOT EXISTS (
      SELECT FROM resources AS users
      WHERE users.account = versions.account AND users.id <> versions.id
        AND (
            users.facts ->> 'model_uri' = versions.facts ->> 'model_uri'
            OR (
                users.parent = versions.path
                AND users.status <> ALL(ARRAY['ACTIVE', 'CREATE FAILED', 'CREATE STOPPED'])
            )
        )
  )
ORDER BY versions.id
LIMIT 20
FOR UPDATE OF versions SKIP LOCKED;

-- retire_models --
-- Retire the models of locked versions, except for those in use by now; return their folders.
UPDATE resources AS versions
SET facts = (versions.facts - 'model_uri') || '{"retired": true}'
WHERE versions.id = ANY(:ids::bigint[])
  AND NOT EXISTS (
      SELECT FROM resources AS users
      WHERE users.account = versions.account AND users.id <> versions.id
        AND (
            users.facts ->> 'model_uri' = versions.facts ->> 'model_uri'
            OR (
                users.parent = versions.path
                AND users.status <> ALL(ARRAY['ACTIVE', 'CREATE FAILED', 'CREATE STOPPED'])
            )
        )
  )
RETURNING versions.facts ->> 'folder' AS folder;

-- due_garbage --
-- Return the prefixes that are to be deleted now.
SELECT prefix FROM garbage WHERE delete_after < now() ORDER BY delete_after LIMIT 20;

-- drop_garbage --
-- Record that a prefix was deleted.
DELETE FROM garbage WHERE prefix = :prefix;

-- tracked_interactions --
-- Return the interactions that a tenant's event tracker has received, once per event. Events of a session belong to the
-- user who first logged in to it. Without a login they are left out, unless :sessions: then the session is the user.
WITH logins AS MATERIALIZED (
    SELECT DISTINCT ON (session_id) session_id, user_id
    FROM tracker.interactions_v1
    WHERE tenant = :tenant AND source = 'personalize' AND user_id IS NOT NULL AND session_id IS NOT NULL
    ORDER BY session_id, occurred_at, event_id
)
SELECT coalesce(events.user_id, logins.user_id, events.session_id) AS user_id, events.item_id,
       events.event_type, events.value, floor(extract(epoch FROM events.occurred_at))::bigint AS timestamp,
       CASE WHEN :described::bool THEN events.properties END AS properties
FROM tracker.interactions_v1 AS events
LEFT JOIN logins ON events.user_id IS NULL AND logins.session_id = events.session_id
LEFT JOIN deleted_users AS deleted
    ON deleted.tenant = events.tenant AND deleted.user_id = coalesce(events.user_id, logins.user_id)
WHERE events.tenant = :tenant AND events.source = 'personalize' AND events.item_id IS NOT NULL
  AND (:sessions::bool OR coalesce(events.user_id, logins.user_id) IS NOT NULL)
  AND (deleted.deleted_at IS NULL OR least(events.occurred_at, events.received_at) > deleted.deleted_at);

-- tracked_events --
-- Return all members of the received events, under the user or the session that they came from.
WITH logins AS MATERIALIZED (
    SELECT DISTINCT ON (session_id) session_id, user_id
    FROM tracker.interactions_v1
    WHERE tenant = :tenant AND source = 'personalize' AND user_id IS NOT NULL AND session_id IS NOT NULL
    ORDER BY session_id, occurred_at, event_id
)
SELECT coalesce(events.user_id, events.session_id) AS user_id, events.item_id,
       coalesce(events.sender_type, events.event_type) AS event_type, events.value AS event_value,
       floor(extract(epoch FROM events.occurred_at))::bigint AS timestamp, events.impression,
       events.recommendation_id, events.attribution_source AS event_attribution_source, events.properties
FROM tracker.interactions_v1 AS events
LEFT JOIN logins ON events.user_id IS NULL AND logins.session_id = events.session_id
LEFT JOIN deleted_users AS deleted
    ON deleted.tenant = events.tenant AND deleted.user_id = coalesce(events.user_id, logins.user_id)
WHERE events.tenant = :tenant AND events.source = 'personalize'
  AND (deleted.deleted_at IS NULL OR least(events.occurred_at, events.received_at) > deleted.deleted_at);

-- put_items --
-- Return the items of a tenant that were received without an import: all, or those with some ids.
SELECT item_id AS id, attributes, name, category, price, currency, available, created_at
FROM sync.items_v1
WHERE tenant = :tenant AND (:ids::text[] IS NULL OR item_id = ANY(:ids::text[]));

-- put_users --
-- Return the users of a tenant that were received without an import.
SELECT user_id AS id, attributes, name, city, province, country
FROM sync.users_v1 AS users
WHERE tenant = :tenant AND NOT EXISTS (
    SELECT FROM deleted_users AS deleted
    WHERE deleted.tenant = users.tenant AND deleted.user_id = users.user_id
      AND deleted.deleted_at >= users.updated_at
);

-- deleted_users --
-- Return the deleted users, and the second until which their data is not used.
SELECT user_id, ceil(extract(epoch FROM deleted_at))::bigint AS until FROM deleted_users WHERE tenant = :tenant;

-- deleted_since --
-- Return the users who were deleted after a time.
SELECT user_id FROM deleted_users WHERE tenant = :tenant AND deleted_at > :since;

-- delete_users --
-- Mark users as deleted: their data up to now is not used any more.
INSERT INTO deleted_users (tenant, user_id, deleted_at)
SELECT :tenant, user_id, now() FROM unnest(:users::text[]) AS user_id
ON CONFLICT (tenant, user_id) DO UPDATE SET deleted_at = excluded.deleted_at;

-- count_received_of --
-- Count the rows of users, still in use, that came from the event tracker and PutUsers.
SELECT (
    SELECT count(*) FROM tracker.interactions_v1 AS events
    LEFT JOIN deleted_users AS deleted
        ON deleted.tenant = events.tenant AND deleted.user_id = events.user_id
    WHERE events.tenant = :tenant AND events.user_id = ANY(:users::text[]) AND events.source = 'personalize'
      AND (deleted.deleted_at IS NULL OR least(events.occurred_at, events.received_at) > deleted.deleted_at)
) + (
    SELECT count(*) FROM sync.users_v1 AS users
    LEFT JOIN deleted_users AS deleted
        ON deleted.tenant = users.tenant AND deleted.user_id = users.user_id
    WHERE users.tenant = :tenant AND users.user_id = ANY(:users::text[])
      AND (deleted.deleted_at IS NULL OR users.updated_at > deleted.deleted_at)
);

-- replace_dataset_part --
-- Replace an object of a dataset by one without the rows of deleted users.
UPDATE dataset_parts SET key = :fresh, rows = :rows, bytes = :bytes WHERE dataset = :dataset AND key = :key;

-- running_jobs --
-- Return the jobs of a tenant with their progress, newest first.
SELECT resources.arn, resources.type, resources.name, resources.status, resources.failure_reason,
       resources.facts, jobs.progress, jobs.attempts, jobs.created_at, jobs.started_at, jobs.finished_at
FROM resources
JOIN jobs ON jobs.key = resources.id::text AND jobs.kind = resources.type
WHERE resources.account = :account AND (:tenant::text IS NULL OR resources.tenant = :tenant)
ORDER BY resources.id DESC
LIMIT :limit;

-- has_account --
-- Return whether an account exists.
SELECT EXISTS (SELECT FROM accounts WHERE id = :account);

-- add_key --
-- Register an API key by its hash; a key that exists is not changed.
INSERT INTO keys
    (id, key_hash, kind, tenant, scopes, label, expires_at, allowed_origins, requires_origin)
VALUES
    (:id, :key_hash, :kind, :tenant, :scopes, :label, :expires_at, :allowed_origins, :requires_origin)
ON CONFLICT (key_hash) DO NOTHING;

-- key_by_hash --
-- Return the tenant and the scopes of a key.
SELECT id, kind, tenant, scopes FROM keys WHERE key_hash = :key_hash;

-- keys --
-- Return all API keys, without the keys themselves.
SELECT id, kind, tenant, scopes, label, created_at, expires_at, allowed_origins, requires_origin
FROM keys
ORDER BY created_at, id;

-- tenant_keys --
-- Return the API keys of a tenant, without the keys themselves, newest first.
SELECT id, scopes, label, created_at, expires_at, allowed_origins, requires_origin
FROM keys
WHERE tenant = :tenant
ORDER BY created_at DESC, id;

-- tenant_key --
-- Return an API key of a tenant.
SELECT id, scopes, label, created_at, expires_at, allowed_origins, requires_origin
FROM keys
WHERE tenant = :tenant AND id = :id;

-- count_tenant_keys --
-- Return the number of valid API keys of a tenant.
SELECT count(*) FROM keys WHERE tenant = :tenant AND coalesce(expires_at > now(), true);

-- end_tenant_key --
-- Let an API key of a tenant end at a time, unless it ends earlier; return its purpose.
UPDATE keys SET expires_at = least(expires_at, :ends_at)
WHERE tenant = :tenant AND id = :id AND coalesce(expires_at > now(), true)
RETURNING scopes, label, allowed_origins, requires_origin;

-- revoke_tenant_key --
-- Delete an API key of a tenant.
DELETE FROM keys WHERE tenant = :tenant AND id = :id RETURNING id;

-- key --
-- Return the tenant, the scopes and the origins of a key that has not ended.
SELECT tenant, scopes, label, allowed_origins, requires_origin
FROM keys
WHERE id = :id AND coalesce(expires_at > now(), true);

-- end_key --
-- Let an API key end at a time, unless it ends earlier.
UPDATE keys SET expires_at = least(expires_at, :ends_at) WHERE id = :id;

-- revoke_key --
-- Delete an API key.
DELETE FROM keys WHERE id = :id RETURNING id;

-- add_aws_key --
-- Register an AWS key pair; for an id that exists, replace the secret and keep the scopes.
INSERT INTO aws_keys (access_key_id, account, secret_encrypted, label, scopes, opens_store)
VALUES (:access_key_id, :account, :secret_encrypted, :label, :scopes, :opens_store)
ON CONFLICT (access_key_id) DO UPDATE
SET secret_encrypted = excluded.secret_encrypted, account = excluded.account, active = true,
    ends_at = NULL, opens_store = excluded.opens_store;

-- aws_keys --
-- Return all AWS key pairs, without their secrets.
SELECT access_key_id, account, label, active, created_at, ends_at, scopes
FROM aws_keys
ORDER BY created_at;

-- end_aws_key --
-- Let an AWS key pair end at a time, unless it ends earlier; return its account, label and scopes.
UPDATE aws_keys SET ends_at = least(ends_at, :ends_at)
WHERE access_key_id = :access_key_id AND active AND coalesce(ends_at > now(), true)
RETURNING account, label, scopes;

-- revoke_aws_key --
-- Deactivate an AWS key pair.
UPDATE aws_keys SET active = false WHERE access_key_id = :access_key_id AND active RETURNING access_key_id;

-- attributions --
-- Return all active metric attributions.
SELECT * FROM resources WHERE type = 'metric-attribution' AND status = 'ACTIVE' ORDER BY id;

-- add_scan --
-- Add the scan of a metric attribution, unless it was scanned before or deleted.
INSERT INTO attribution_looks (attribution, looked_at)
SELECT id, :since FROM resources WHERE id = :attribution
ON CONFLICT (attribution) DO NOTHING;

-- lock_scan --
-- Return the time of the last scan of a metric attribution and lock it; return no row if another worker has the lock.
SELECT looked_at FROM attribution_looks WHERE attribution = :attribution FOR UPDATE SKIP LOCKED;

-- without_jit --
-- Disable JIT compilation in this transaction, because the cost estimate of the next statement is far too high.
SELECT set_config('jit', 'off', true);

-- buckets_to_count --
-- Return the closed buckets of 15 minutes whose number of events differs from the counted one.
WITH touched AS MATERIALIZED (
    SELECT DISTINCT date_bin('15 minutes', occurred_at, 'epoch') AS bucket
    FROM tracker.interactions_v1
    WHERE tenant = :tenant AND event_type = ANY(:types::text[]) AND NOT historical
      AND stored_at > :stored_since
      AND occurred_at >= greatest(:since::timestamptz, now() - interval '14 days')
      AND occurred_at < date_bin('15 minutes', now() - interval '30 seconds', 'epoch')
    UNION
    -- Events that were replaced no longer count in their bucket.
    SELECT date_bin('15 minutes', occurred_at, 'epoch')
    FROM tracker.replaced_claims_v1
    WHERE tenant = :tenant AND event_type = ANY(:types::text[]) AND replaced_at > :stored_since
      AND occurred_at >= greatest(:since::timestamptz, now() - interval '14 days')
      AND occurred_at < date_bin('15 minutes', now() - interval '30 seconds', 'epoch')
)
SELECT touched.bucket, counts.events
FROM touched
CROSS JOIN LATERAL (
    SELECT count(*) AS events
    FROM tracker.interactions_v1 AS events
    WHERE events.tenant = :tenant AND events.event_type = ANY(:types::text[]) AND NOT events.historical
      AND events.occurred_at >= greatest(touched.bucket, :since::timestamptz)
      AND events.occurred_at < touched.bucket + interval '15 minutes'
) AS counts
LEFT JOIN attribution_buckets AS known ON known.attribution = :attribution AND known.bucket = touched.bucket
WHERE known.events IS DISTINCT FROM counts.events
ORDER BY touched.bucket;

-- finish_scan --
-- Set the time of the last scan to now.
UPDATE attribution_looks SET looked_at = now() WHERE attribution = :attribution;

-- attributed_events --
-- Return the events of a bucket that may count.
SELECT event_type, item_id, value, properties, attribution_source, recommendation_id
FROM tracker.interactions_v1
WHERE tenant = :tenant AND occurred_at >= :begin AND occurred_at < :end
  AND event_type = ANY(:types::text[]) AND NOT historical;

-- recommendation_sources --
-- Return the campaigns and recommenders of a tenant by their names among campaigns.
SELECT name, arn FROM campaigns_v1 WHERE tenant = :tenant;

-- attribution_sources --
-- Return the known sources of a metric attribution.
SELECT DISTINCT source FROM attribution_values WHERE attribution = :attribution;

-- counted_bucket --
-- Return the number of counted events of a bucket.
SELECT events FROM attribution_buckets WHERE attribution = :attribution AND bucket = :bucket;

-- attribution_values --
-- Return the sums of a bucket.
SELECT metric, source, value FROM attribution_values WHERE attribution = :attribution AND bucket = :bucket;

-- save_bucket --
-- Save the number of counted events of a bucket.
INSERT INTO attribution_buckets (attribution, bucket, events) VALUES (:attribution, :bucket, :events)
ON CONFLICT (attribution, bucket) DO UPDATE SET events = excluded.events;

-- save_attribution_values --
-- Save the sums of a bucket.
INSERT INTO attribution_values (attribution, bucket, metric, source, value)
SELECT :attribution, :bucket, metric, source, value
FROM unnest(:metrics::text[], :sources::text[], :values::float8[]) AS sums (metric, source, value)
ON CONFLICT (attribution, bucket, metric, source) DO UPDATE SET value = excluded.value;

-- forget_buckets --
-- Delete the buckets older than 15 days with their sums. Events count for 14 days.
DELETE FROM attribution_buckets WHERE bucket < now() - interval '15 days';

-- requeue_failed_imports --
-- Queue failed reports of imports again every hour, as long as the imported rows exist.
UPDATE jobs
SET status = 'queued', attempts = 0, retries = 0, retrying_since = NULL, run_after = now(), owner = NULL,
    finished_at = NULL, error = NULL
WHERE kind = 'attribution' AND status = 'failed' AND payload ? 'import'
  AND finished_at < now() - interval '1 hour' AND created_at > now() - make_interval(secs => 3600 * :hours::float8);

-- forget_failed_counts --
-- Delete failed counts after an hour, with their scan, so that the next scan considers all events.
WITH failed AS (
    DELETE FROM jobs
    WHERE kind = 'attribution' AND status = 'failed' AND finished_at < now() - interval '1 hour'
    RETURNING (payload ->> 'resource')::bigint AS attribution
)
DELETE FROM attribution_looks WHERE attribution IN (SELECT attribution FROM failed);

-- forget_attribution_jobs --
-- Delete finished counts after a day.
DELETE FROM jobs WHERE kind = 'attribution' AND status = 'done' AND finished_at < now() - interval '1 day';

-- privacy_requests_due --
-- Return the oldest requests of shop systems without a deletion job, each with its dataset group.
SELECT requests.tenant, requests.request_id, requests.user_ids, groups.id AS group_id
FROM sync.privacy_requests_v1 AS requests
JOIN resources AS groups
    ON groups.type = 'dataset-group' AND groups.tenant = requests.tenant AND groups.status = 'ACTIVE'
WHERE NOT EXISTS (
    SELECT FROM privacy_jobs
    WHERE privacy_jobs.tenant = requests.tenant AND privacy_jobs.request_id = requests.request_id
)
ORDER BY requests.received_at
LIMIT 20;

-- add_privacy_job --
-- Note the deletion job of a request; return nothing if it has one.
INSERT INTO privacy_jobs (tenant, request_id) VALUES (:tenant, :request_id)
ON CONFLICT DO NOTHING
RETURNING request_id;

-- request_erasures --
-- Request the erasure of users for a job; return the new users with the time of the request.
INSERT INTO erasures (job, tenant, user_id, requested_at)
SELECT :job, :tenant, user_id, now() FROM unnest(:users::text[]) AS user_id
ON CONFLICT DO NOTHING
RETURNING user_id, requested_at;

-- sessions_of --
-- Return the newest sessions of users, at most 1,000 of each.
SELECT user_id, (array_agg(session_id ORDER BY last_at DESC))[1:1000] AS session_ids
FROM (
    SELECT user_id, session_id, max(occurred_at) AS last_at
    FROM tracker.interactions_v1
    WHERE tenant = :tenant AND user_id = ANY(:users::text[]) AND session_id IS NOT NULL
      AND session_id <> user_id
    GROUP BY user_id, session_id
) AS sessions
GROUP BY user_id;

-- user_data --
-- Return what the services have of a user and of the user's sessions, with the service and the table of each row.
SELECT store, content FROM (
SELECT 'tracker.' || store AS store, content FROM tracker.user_data_v1
WHERE tenant = :tenant AND subject = ANY(:subjects::text[])
UNION ALL
SELECT 'sync.' || store AS store, content FROM sync.user_data_v1
WHERE tenant = :tenant AND subject = ANY(:subjects::text[])
UNION ALL
SELECT 'loader.' || store AS store, content FROM loader.user_data_v1
WHERE tenant = :tenant AND subject = ANY(:subjects::text[])
UNION ALL
SELECT 'recommender.' || store AS store, content FROM recommender.user_data_v1
WHERE tenant = :tenant AND subject = ANY(:subjects::text[])
UNION ALL
SELECT 'router.' || store AS store, content FROM router.user_data_v1
WHERE tenant = :tenant AND subject = ANY(:subjects::text[])
UNION ALL
SELECT 'analytics.' || store AS store, content FROM analytics.user_data_v1
WHERE tenant = :tenant AND subject = ANY(:subjects::text[])
) AS rows
LIMIT :limit;

-- count_runs_with_files --
-- Count the runs of a tenant that have files.
SELECT coalesce(sum(runs), 0)::bigint FROM trainer.runs_with_files_v1 WHERE tenant = :tenant;

-- erasures_of_job --
-- Return the users of a deletion job.
SELECT user_id FROM erasures WHERE job = :job ORDER BY user_id;

-- add_erasure_receipts --
-- Save the confirmations of services; repeated ones change nothing.
INSERT INTO erasure_receipts (job, user_id, service, rows, erased_at)
SELECT receipts.job, receipts.user_id, receipts.service, receipts.rows, receipts.erased_at
FROM unnest(:jobs::bigint[], :users::text[], :services::text[], :rows::jsonb[], :times::timestamptz[])
    AS receipts (job, user_id, service, rows, erased_at)
JOIN erasures ON erasures.job = receipts.job AND erasures.user_id = receipts.user_id AND erasures.tenant = ANY(:tenants)
ON CONFLICT DO NOTHING;

-- erasure_counts --
-- Count the users of a job that each service has confirmed.
SELECT service, count(*) AS users
FROM erasure_receipts
WHERE job = :job
GROUP BY service;

-- erasure_rows --
-- Return what each service has erased for a job, as numbers of rows by place.
SELECT service, count(DISTINCT user_id) AS users, max(erased_at) AS erased_at,
    coalesce(
        (SELECT jsonb_object_agg(place, number) FROM (
            SELECT place, sum(number::bigint) AS number
            FROM erasure_receipts AS own, jsonb_each_text(own.rows) AS counted (place, number)
            WHERE own.job = :job AND own.service = receipts.service
            GROUP BY place
        ) AS summed),
        '{}'
    ) AS rows
FROM erasure_receipts AS receipts
WHERE job = :job
GROUP BY service
ORDER BY service;

-- count_erasures --
-- Count the users of a job.
SELECT count(*) FROM erasures WHERE job = :job;

-- finish_erasures --
-- Record that all data of the users of a job was erased.
UPDATE erasures SET finished_at = now() WHERE job = :job AND finished_at IS NULL;

-- erasures_to_end --
-- Return users whose erasures have all finished at least an hour ago.
SELECT DISTINCT tenant, user_id FROM erasures AS ended
WHERE finished_at < now() - make_interval(hours => 1)
  AND NOT EXISTS (
      SELECT FROM erasures AS recent
      WHERE recent.tenant = ended.tenant AND recent.user_id = ended.user_id
        AND (recent.finished_at IS NULL OR recent.finished_at >= now() - make_interval(hours => 1))
  )
LIMIT 1000;

-- drop_erasures --
-- Delete the erasures of users with their receipts.
WITH ended AS (
    DELETE FROM erasures WHERE tenant = :tenant AND user_id = ANY(:users::text[]) RETURNING job, user_id
)
DELETE FROM erasure_receipts AS receipts
USING ended
WHERE receipts.job = ended.job AND receipts.user_id = ended.user_id;

-- bucket_grants --
-- Return the grants of a tenant and of its account.
SELECT bucket, prefix, read_only
FROM bucket_grants
WHERE account = :account AND (tenant IS NULL OR tenant = :tenant);

-- all_bucket_grants --
-- Return all grants with the access key ids that jobs use there.
SELECT grants.account, grants.tenant, grants.bucket, grants.prefix, grants.read_only, grants.created_at,
    coalesce(own.access_key_id, everyone.access_key_id) AS access_key_id
FROM bucket_grants AS grants
LEFT JOIN bucket_keys AS own ON own.account = grants.account AND own.tenant = grants.tenant
LEFT JOIN bucket_keys AS everyone ON everyone.account = grants.account AND everyone.tenant IS NULL
ORDER BY grants.account, grants.tenant NULLS FIRST, grants.bucket, grants.prefix;

-- add_bucket_grant --
-- Add a grant; for one that exists, replace whether it may be written.
INSERT INTO bucket_grants (account, tenant, bucket, prefix, read_only)
VALUES (:account, :tenant, :bucket, :prefix, :read_only)
ON CONFLICT (account, tenant, bucket, prefix) DO UPDATE SET read_only = excluded.read_only;

-- remove_bucket_grant --
-- Remove a grant.
DELETE FROM bucket_grants
WHERE account = :account AND tenant IS NOT DISTINCT FROM CAST(:tenant AS text)
  AND bucket = :bucket AND prefix = :prefix
RETURNING bucket;

-- bucket_keys --
-- Return the key pair that a tenant's jobs use outside the shared buckets: its own, else that of its account.
SELECT access_key_id, secret_encrypted
FROM bucket_keys
WHERE account = :account AND (tenant IS NULL OR tenant = :tenant)
ORDER BY tenant NULLS LAST
LIMIT 1;

-- store_pair --
-- Return the secret of an active key pair that is also one of the object store.
SELECT secret_encrypted
FROM aws_keys
WHERE access_key_id = :access_key_id AND account = :account AND opens_store
  AND active AND coalesce(ends_at > now(), true);

-- set_bucket_keys --
-- Set the key pair that jobs use outside the shared buckets.
INSERT INTO bucket_keys (account, tenant, access_key_id, secret_encrypted)
VALUES (:account, :tenant, :access_key_id, :secret_encrypted)
ON CONFLICT (account, tenant) DO UPDATE
SET access_key_id = excluded.access_key_id, secret_encrypted = excluded.secret_encrypted, created_at = now();

-- drop_bucket_keys --
-- Delete the key pair of a holder, whose jobs then use the engine's own.
DELETE FROM bucket_keys
WHERE account = :account AND tenant IS NOT DISTINCT FROM CAST(:tenant AS text)
RETURNING access_key_id;

-- drop_tenant_buckets --
-- Delete the grants and the key pair of a retired tenant.
WITH dropped AS (DELETE FROM bucket_keys WHERE tenant = :tenant)
DELETE FROM bucket_grants WHERE tenant = :tenant;

-- placements --
-- Return the placements of a tenant by name.
SELECT name, revision, definition, changed_at, changed_by
FROM placements
WHERE tenant = :tenant AND definition IS NOT NULL
ORDER BY name;

-- placement --
-- Return one placement of a tenant.
SELECT name, revision, definition, changed_at, changed_by
FROM placements
WHERE tenant = :tenant AND name = :name AND definition IS NOT NULL;

-- locked_placement --
-- Return the row of a placement, a deleted one included, and hold it until the transaction ends.
SELECT revision, definition
FROM placements
WHERE tenant = :tenant AND name = :name
FOR UPDATE;

-- lock_tenant --
-- Hold the row of a tenant that is not retired, so that its placements and keys change one after the other.
SELECT id FROM tenants WHERE id = :tenant AND retired_at IS NULL FOR NO KEY UPDATE;

-- count_placements --
-- Return how many placements a tenant has.
SELECT count(*) FROM placements WHERE tenant = :tenant AND definition IS NOT NULL;

-- put_placement --
-- Write a revision of a placement; null as definition deletes it.
INSERT INTO placements (tenant, name, revision, definition, changed_by)
VALUES (:tenant, :name, :revision, :definition, :changed_by)
ON CONFLICT (tenant, name) DO UPDATE
SET revision = excluded.revision, definition = excluded.definition, changed_at = now(),
    changed_by = excluded.changed_by
RETURNING name, revision, definition, changed_at, changed_by;

-- drop_placements --
-- Delete the placements of a retired tenant and return the names of those that were defined.
WITH dropped AS (DELETE FROM placements WHERE tenant = :tenant RETURNING name, definition)
SELECT name FROM dropped WHERE definition IS NOT NULL;

-- placement_references --
-- Return the campaigns and filters that a placement of a tenant may name; only filters have an expression.
SELECT
    CASE type WHEN 'recommender' THEN path ELSE name END AS name,
    CASE type WHEN 'filter' THEN document ->> 'filterExpression' END AS expression
FROM resources
WHERE tenant = :tenant AND type IN ('campaign', 'recommender', 'filter') AND status NOT LIKE 'DELETE %';

-- add_identity --
-- Insert a role, a policy or an attachment unless it exists.
INSERT INTO identities (account, type, parent, name, document)
VALUES (:account, :type, :parent, :name, :document)
ON CONFLICT DO NOTHING
RETURNING *;

-- put_identity --
-- Insert an entity, or replace its document.
INSERT INTO identities (account, type, parent, name, document)
VALUES (:account, :type, :parent, :name, :document)
ON CONFLICT (account, type, parent, name) DO UPDATE SET document = excluded.document
RETURNING *;

-- identity --
-- Return an entity, and lock its row, so that nothing is attached to it while it is deleted.
SELECT * FROM identities
WHERE account = :account AND type = :type AND parent = :parent AND name = :name
FOR UPDATE;

-- identities --
-- Return a page of the entities of a type, of one parent or with null of every parent, by name.
SELECT * FROM identities
WHERE account = :account AND type = :type AND (:parent::text IS NULL OR parent = :parent) AND name > :after
ORDER BY name
LIMIT :limit;

-- count_identities --
-- Count the entities of an account.
SELECT count(*) FROM identities WHERE account = :account;

-- count_attachments --
-- Count the roles that a policy is attached to.
SELECT count(*) FROM identities WHERE account = :account AND type = 'attachment' AND name = :name;

-- delete_identity --
-- Delete an entity.
DELETE FROM identities
WHERE account = :account AND type = :type AND parent = :parent AND name = :name
RETURNING name;

-- put_bucket_policy --
-- Record a bucket's policy.
INSERT INTO bucket_policies (bucket, policy) VALUES (:bucket, :policy)
ON CONFLICT (bucket) DO UPDATE SET policy = excluded.policy, changed_at = now();

-- bucket_policy --
-- Return the recorded policy of a bucket.
SELECT policy FROM bucket_policies WHERE bucket = :bucket;

-- delete_bucket_policy --
-- Delete the recorded policy of a bucket.
DELETE FROM bucket_policies WHERE bucket = :bucket;

-- expiring_keys --
-- Keys that will expire and were made for longer than two weeks. A rotated key has a successor: a newer key for the
-- same purpose that lasts longer. Key pairs have an account instead of a tenant, service keys neither.
WITH ending AS (
    SELECT coalesce(tenant, '') AS tenant, id, label, scopes, created_at, expires_at FROM keys
    UNION ALL
    SELECT account, access_key_id, label, scopes, created_at, ends_at FROM aws_keys WHERE active
)
SELECT tenant, id, expires_at
FROM ending
WHERE expires_at > now() AND expires_at - created_at > interval '14 days'
  AND NOT EXISTS (
      SELECT FROM ending AS successor
      WHERE successor.tenant = ending.tenant AND successor.label = ending.label AND successor.scopes = ending.scopes
        AND successor.created_at > ending.created_at
        AND coalesce(successor.expires_at > ending.expires_at, true)
  )
ORDER BY tenant, id;

-- served_models --
-- The campaigns and recommenders that answer, with the start of the training of their model.
SELECT served.tenant, served.name, training.created_at AS trained_at
FROM campaigns_v1 AS served
JOIN resources AS training ON training.arn = served.solution_version_arn
WHERE served.status = 'ACTIVE' AND served.model_uri IS NOT NULL
ORDER BY served.tenant, served.name;
