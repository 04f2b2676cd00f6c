-- The ID token of a session that began at an identity provider, by which the provider ends its own session at a
-- sign-out (`id_token_hint`). Empty if the token is too long for an address; null for a session that began with a key.

ALTER TABLE sessions ADD COLUMN id_token text;
