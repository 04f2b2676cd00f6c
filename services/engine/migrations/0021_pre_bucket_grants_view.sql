-- The places of the object store that sync may import from for a tenant.
CREATE VIEW bucket_grants_v1 AS
SELECT tenants.id AS tenant, grants.bucket, grants.prefix
FROM bucket_grants AS grants
JOIN tenants ON tenants.account = grants.account AND (grants.tenant IS NULL OR grants.tenant = tenants.id)
WHERE tenants.retired_at IS NULL;
GRANT SELECT ON bucket_grants_v1 TO sync;
