-- key --
-- The API key with this hash: its id, its tenant, what it may do, and the origins that it is bound to.
SELECT id, tenant, scopes, allowed_origins
FROM engine.keys_v1
WHERE key_hash = :key_hash
  AND coalesce(expires_at > now(), true);

-- begin_session --
-- Begin a session that ends after some hours.
INSERT INTO sessions (token_hash, tenant, person, role, key_hash, id_token, ends_at)
VALUES (:token_hash, :tenant, :person, :role, :key_hash, :id_token, now() + :hours * interval '1 hour');

-- session --
-- A session that has not ended and was used within the idle time; of a session by key also the scopes of the
-- key, which must still be valid.
SELECT s.tenant, s.person, s.role, s.key_hash IS NOT NULL AS by_key, k.scopes,
    s.seen_at < now() - interval '1 minute' AS is_due
FROM sessions AS s
LEFT JOIN engine.keys_v1 AS k ON k.key_hash = s.key_hash AND coalesce(k.expires_at > now(), true)
WHERE s.token_hash = :token_hash
  AND s.ends_at > now()
  AND s.seen_at > now() - :idle_hours * interval '1 hour'
  AND (s.key_hash IS NULL OR k.key_hash IS NOT NULL);

-- see_session --
-- Note that a session was used.
UPDATE sessions SET seen_at = now() WHERE token_hash = :token_hash;

-- end_session --
-- End a session, and return the ID token of one that began at an identity provider.
DELETE FROM sessions WHERE token_hash = :token_hash RETURNING id_token;

-- delete_ended_sessions --
-- Delete sessions that have ended.
DELETE FROM sessions
WHERE ends_at < now() OR seen_at < now() - :idle_hours * interval '1 hour';

-- add_entry --
-- Add an entry to the audit log, before its change is made; returns its id.
INSERT INTO audit_log (tenant, person, role, action, target, before, after)
VALUES (:tenant, :person, :role, :action, :target, :before, :after)
RETURNING id;

-- complete_entry --
-- Store the outcome of a change.
UPDATE audit_log
SET outcome = :outcome, detail = :detail, after = coalesce(:after, after)
WHERE tenant = :tenant AND id = :id;

-- entries --
-- Entries of a tenant, newest first.
SELECT id, at, person, role, action, target, before, after, outcome, detail
FROM audit_log
WHERE tenant = :tenant
  AND (:before_id::bigint IS NULL OR id < :before_id)
ORDER BY id DESC
LIMIT :limit;

-- delete_old_entries --
-- Delete entries that are older than the retention.
DELETE FROM audit_log WHERE at < now() - :days * interval '1 day';

-- begin_sign_in --
-- Remember a sign-in at an identity provider.
INSERT INTO sign_ins (state_hash, browser_hash, nonce, verifier, destination)
VALUES (:state_hash, :browser_hash, :nonce, :verifier, :destination);

-- take_sign_in --
-- Remove a sign-in and return it, unless it began in another browser or too long ago.
DELETE FROM sign_ins
WHERE state_hash = :state_hash AND browser_hash = :browser_hash
  AND began_at > now() - :seconds * interval '1 second'
RETURNING nonce, verifier, destination;

-- delete_old_sign_ins --
-- Delete sign-ins that were not completed in time.
DELETE FROM sign_ins WHERE began_at < now() - :seconds * interval '1 second';
