-- Which variants a person was shown, and what counted as an outcome, for exports.
CREATE VIEW user_data_v1 AS
SELECT tenant, unit AS subject, 'exposed_units' AS store, to_jsonb(exposed_units) - 'tenant' AS content
FROM exposed_units
UNION ALL
SELECT tenant, unit, 'outcomes', to_jsonb(outcomes) - 'tenant' FROM outcomes
UNION ALL
SELECT tenant, unit, 'interleaved_answers', to_jsonb(interleaved_answers) - 'tenant' FROM interleaved_answers
UNION ALL
SELECT tenant, unit, 'window_exposures', to_jsonb(window_exposures) - 'tenant' FROM window_exposures
UNION ALL
SELECT tenant, user_id, 'session_users', to_jsonb(session_users) - 'tenant' FROM session_users;
GRANT USAGE ON SCHEMA router TO engine;
GRANT SELECT ON user_data_v1 TO engine;
