-- Every dataset. What the columns of the trainer's own are is what it reads, and nobody's word on what a shop may say of
-- its items and users; datasets_v1 leaves them out.

CREATE VIEW all_datasets_v1 AS
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
WHERE datasets.type = 'dataset';

GRANT SELECT ON all_datasets_v1 TO tracker;
