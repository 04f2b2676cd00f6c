-- The lists that a person gets, for exports; lists of items and of popularity are of nobody.
CREATE VIEW user_data_v1 AS
SELECT lists.tenant, lists.id AS subject, 'lists' AS store, to_jsonb(lists) - 'tenant' AS content
FROM lists
JOIN active USING (tenant, recipe, generation)
WHERE lists.recipe NOT IN ('similar-items', 'bought-together', 'popularity');
GRANT USAGE ON SCHEMA loader TO engine;
GRANT SELECT ON user_data_v1 TO engine;
