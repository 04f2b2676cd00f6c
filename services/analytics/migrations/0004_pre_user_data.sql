-- The facts about a person from which metrics are counted, for exports.
CREATE VIEW user_data_v1 AS
SELECT tenant, user_id AS subject, 'touches' AS store, to_jsonb(touches) - 'tenant' AS content
FROM touches WHERE user_id IS NOT NULL
UNION ALL
SELECT tenant, session_id, 'touches', to_jsonb(touches) - 'tenant' FROM touches WHERE user_id IS NULL
UNION ALL
SELECT tenant, user_id, 'purchases', to_jsonb(purchases) - 'tenant' FROM purchases WHERE user_id IS NOT NULL
UNION ALL
SELECT tenant, session_id, 'purchases', to_jsonb(purchases) - 'tenant'
FROM purchases WHERE user_id IS NULL AND session_id IS NOT NULL
UNION ALL
SELECT tenant, user_id, 'logins', to_jsonb(logins) - 'tenant' FROM logins;
GRANT USAGE ON SCHEMA analytics TO engine;
GRANT SELECT ON user_data_v1 TO engine;
