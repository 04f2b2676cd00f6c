-- A deleted resource stays for a moment with the status DELETE PENDING, for those who wait for its end; other
-- services see it no more.

CREATE INDEX resources_deleting ON resources (updated_at) WHERE status = 'DELETE PENDING';

CREATE OR REPLACE VIEW trackers_v1 AS
SELECT tenant, name, arn, document ->> 'trackingId' AS tracking_id, status
FROM resources
WHERE type = 'event-tracker' AND status <> 'DELETE PENDING';

CREATE OR REPLACE VIEW campaigns_v1 AS
SELECT
    tenant,
    CASE type WHEN 'recommender' THEN path ELSE name END AS name,
    arn,
    status,
    facts ->> 'recipe' AS recipe,
    facts ->> 'solution_version_arn' AS solution_version_arn,
    facts ->> 'model_uri' AS model_uri,
    facts ->> 'model_sha256' AS model_sha256,
    coalesce(document -> 'campaignConfig', document -> 'recommenderConfig', '{}'::jsonb) AS config
FROM resources
WHERE (type = 'campaign' OR (type = 'recommender' AND facts ? 'model_uri')) AND status <> 'DELETE PENDING';

CREATE OR REPLACE VIEW filters_v1 AS
SELECT tenant, name, arn, status, document ->> 'filterExpression' AS expression
FROM resources
WHERE type = 'filter' AND status <> 'DELETE PENDING';

CREATE OR REPLACE VIEW datasets_v1 AS
SELECT datasets.tenant, datasets.document ->> 'datasetType' AS dataset_type, schemas.document ->> 'schema' AS schema
FROM resources AS datasets
JOIN resources AS schemas
    ON schemas.account = datasets.account
    AND schemas.path = split_part(datasets.document ->> 'schemaArn', ':', 6)
    AND schemas.type = 'schema'
WHERE datasets.type = 'dataset' AND datasets.status <> 'DELETE PENDING'
  AND schemas.name !~ '^endcap-(interactions|items|users)-[0-9a-f]{8}$';

CREATE OR REPLACE VIEW all_datasets_v1 AS
SELECT
    datasets.tenant,
    datasets.document ->> 'datasetType' AS dataset_type,
    schemas.document ->> 'schema' AS schema,
    schemas.name ~ '^endcap-(interactions|items|users)-[0-9a-f]{8}$' AS of_trainer
FROM resources AS datasets
JOIN resources AS schemas
    ON schemas.account = datasets.account
    AND schemas.path = split_part(datasets.document ->> 'schemaArn', ':', 6)
    AND schemas.type = 'schema'
WHERE datasets.type = 'dataset' AND datasets.status <> 'DELETE PENDING';
