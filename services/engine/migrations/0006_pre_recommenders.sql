-- A recommender is served as a campaign is; its name among campaigns is its path, recommender/<name>.

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
WHERE type = 'campaign' OR (type = 'recommender' AND facts ? 'model_uri');
