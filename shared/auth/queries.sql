-- api_key --
-- The API key with this hash: its tenant, what it may do, and until when.
SELECT tenant, scopes, kind, expires_at
FROM engine.keys_v1
WHERE key_hash = :key_hash;

-- aws_key --
-- The account and the encrypted secret of an AWS access key id.
SELECT account, secret_encrypted
FROM engine.aws_keys_v1
WHERE access_key_id = :access_key_id
  AND active;
