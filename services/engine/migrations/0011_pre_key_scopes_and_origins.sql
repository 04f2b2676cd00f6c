-- The scope `catalogue` is needed to change items and users: what could do so before goes on, but for keys
-- that only send events, since every visitor of a shop has such a key.
UPDATE keys SET scopes = array_append(scopes, 'catalogue')
WHERE 'admin' = ANY (scopes) AND NOT 'catalogue' = ANY (scopes);

-- The origins whose pages may use a key (none: every request may), and whether a request must have one.
ALTER TABLE keys
    ADD COLUMN allowed_origins text[],
    ADD COLUMN requires_origin boolean NOT NULL DEFAULT false,
    ADD CHECK (allowed_origins IS NOT NULL OR NOT requires_origin);

-- The default is what every key pair could do so far.
ALTER TABLE aws_keys ADD COLUMN scopes text[] NOT NULL DEFAULT '{ingest,read,catalogue,admin}';

CREATE OR REPLACE VIEW keys_v1 AS
SELECT id, key_hash, kind, tenant, scopes, expires_at, allowed_origins, requires_origin
FROM keys;

CREATE OR REPLACE VIEW aws_keys_v1 AS
SELECT access_key_id, account, secret_encrypted,
    active AND coalesce(ends_at > now(), true) AS active,
    scopes
FROM aws_keys;
