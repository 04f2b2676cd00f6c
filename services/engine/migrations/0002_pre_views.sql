-- What other services may read: versioned views, each a contract like a topic.

CREATE VIEW keys_v1 AS
SELECT id, key_hash, kind, tenant, scopes, expires_at
FROM keys;

CREATE VIEW aws_keys_v1 AS
SELECT access_key_id, account, secret_encrypted, active
FROM aws_keys;

CREATE VIEW accounts_v1 AS
SELECT tenants.account, tenants.id AS tenant, resources.arn AS dataset_group_arn
FROM tenants
JOIN resources ON resources.type = 'dataset-group' AND resources.tenant = tenants.id
WHERE tenants.retired_at IS NULL;

CREATE VIEW trackers_v1 AS
SELECT tenant, name, arn, document ->> 'trackingId' AS tracking_id, status
FROM resources
WHERE type = 'event-tracker';

CREATE VIEW campaigns_v1 AS
SELECT
    tenant,
    name,
    arn,
    status,
    facts ->> 'recipe' AS recipe,
    facts ->> 'solution_version_arn' AS solution_version_arn,
    facts ->> 'model_uri' AS model_uri,
    facts ->> 'model_sha256' AS model_sha256,
    coalesce(document -> 'campaignConfig', '{}'::jsonb) AS config
FROM resources
WHERE type = 'campaign';

GRANT USAGE ON SCHEMA engine TO tracker, sync, trainer, loader, recommender, router;
GRANT SELECT ON keys_v1, aws_keys_v1, accounts_v1, trackers_v1, campaigns_v1
TO tracker, sync, trainer, loader, recommender, router;
