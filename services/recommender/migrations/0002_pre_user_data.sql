-- The overrides of a person, for exports. Histories in Redis are copies of the tracker's log.
CREATE VIEW user_data_v1 AS
SELECT tenant, user_id AS subject, 'overrides' AS store, to_jsonb(overrides) - 'tenant' AS content FROM overrides;
GRANT USAGE ON SCHEMA recommender TO engine;
GRANT SELECT ON user_data_v1 TO engine;
