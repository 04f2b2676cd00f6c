-- What may be put into datasets. The trainer's own datasets are left out: what their columns are is what it
-- reads, and nobody's word on what a shop may say of its items and users.

CREATE VIEW datasets_v1 AS
SELECT datasets.tenant, datasets.document ->> 'datasetType' AS dataset_type, schemas.document ->> 'schema' AS schema
FROM resources AS datasets
JOIN resources AS schemas
    ON schemas.account = datasets.account
    AND schemas.path = split_part(datasets.document ->> 'schemaArn', ':', 6)
    AND schemas.type = 'schema'
WHERE datasets.type = 'dataset' AND schemas.name !~ '^endcap-(interactions|items|users)-[0-9a-f]{8}$';

GRANT SELECT ON datasets_v1 TO tracker;
