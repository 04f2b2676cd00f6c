-- The trainer shows jobs of the control plane as log events, and when a dataset group was created.
CREATE OR REPLACE VIEW accounts_v1 AS
SELECT tenants.account, tenants.id AS tenant, resources.arn AS dataset_group_arn, resources.created_at
FROM tenants
JOIN resources ON resources.type = 'dataset-group' AND resources.tenant = tenants.id
WHERE tenants.retired_at IS NULL;

CREATE VIEW job_states_v1 AS
SELECT tenant, type, path, status, failure_reason, created_at, updated_at
FROM resources
WHERE tenant IS NOT NULL AND type IN (
    'dataset-import-job', 'dataset-export-job', 'solution-version', 'batch-inference-job', 'batch-segment-job',
    'campaign', 'data-deletion-job'
);
GRANT SELECT ON job_states_v1 TO trainer;
