-- A key pair that was rotated goes on for a while, so that its users can change over.
ALTER TABLE aws_keys ADD COLUMN ends_at timestamptz;

CREATE OR REPLACE VIEW aws_keys_v1 AS
SELECT access_key_id, account, secret_encrypted,
    active AND coalesce(ends_at > now(), true) AS active
FROM aws_keys;
