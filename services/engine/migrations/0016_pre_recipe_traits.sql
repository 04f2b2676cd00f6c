-- The traits of a campaign's recipe, for services that know no recipes; NULL for models trained before traits.

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
    coalesce(document -> 'campaignConfig', document -> 'recommenderConfig', '{}'::jsonb) AS config,
    facts -> 'traits' AS traits
FROM resources
WHERE (type = 'campaign' OR (type = 'recommender' AND facts ? 'model_uri')) AND status <> 'DELETE PENDING';
