-- api_key --
-- The API key with this hash: its tenant, what it may do, until when, and from which origins.
SELECT tenant, scopes, kind, expires_at, allowed_origins, requires_origin
FROM engine.keys_v1
WHERE key_hash = :key_hash;

-- aws_key --
-- The account, the encrypted secret and the scopes of an AWS access key id.
SELECT account, secret_encrypted, scopes
FROM engine.aws_keys_v1
WHERE access_key_id = :access_key_id
  AND active;

-- account_tenants --
-- The tenants of an account, or one tenant.
SELECT tenant, account, dataset_group_arn, created_at
FROM engine.accounts_v1
WHERE account = :account OR tenant = :tenant
ORDER BY tenant;
