-- What the log has of a person, for exports: events of the user, and of a session before login.
CREATE VIEW user_data_v1 AS
SELECT tenant, user_id AS subject, 'events' AS store, to_jsonb(interactions) - 'tenant' - 'fingerprint' AS content
FROM interactions WHERE user_id IS NOT NULL
UNION ALL
SELECT tenant, session_id, 'events', to_jsonb(interactions) - 'tenant' - 'fingerprint'
FROM interactions WHERE user_id IS NULL
UNION ALL
SELECT tenant, coalesce(event ->> 'user_id', event ->> 'session_id'), 'event_conflicts', event
FROM event_conflicts;
GRANT SELECT ON user_data_v1 TO engine;
