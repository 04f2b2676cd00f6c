-- Count the rows of a user and of the user's sessions in each table of the event lake (DuckDB). {user} is a literal.
WITH own AS (SELECT DISTINCT session_id FROM interactions WHERE user_id = {user} AND session_id IS NOT NULL)
SELECT 'interactions' AS name, count(*) AS rows FROM interactions
WHERE user_id = {user} OR (user_id IS NULL AND session_id IN (SELECT session_id FROM own))
UNION ALL
SELECT 'orders', count(*) FROM orders WHERE user_id = {user}
UNION ALL
SELECT 'servings', count(*) FROM servings
WHERE user_id = {user} OR (user_id IS NULL AND session_id IN (SELECT session_id FROM own))
UNION ALL
SELECT 'exposures', count(*) FROM exposures
WHERE unit = {user} OR unit IN (SELECT session_id FROM own)
