-- Customers with items of another one, by the cosine of their sets of items: SQL in Trino's dialect, for the event
-- lake. The placeholders are literals: the user, the first day that is read, and the most rows.
WITH own AS (
    SELECT DISTINCT item_id
    FROM interactions
    WHERE user_id = {user} AND item_id IS NOT NULL AND dt >= {since}
),

sharing AS (
    SELECT user_id, count(DISTINCT item_id) AS shared
    FROM interactions
    WHERE item_id IN (SELECT item_id FROM own)
      AND user_id IS NOT NULL AND user_id <> {user} AND dt >= {since}
    GROUP BY user_id
    ORDER BY shared DESC, user_id
    LIMIT 1000
),

sizes AS (
    SELECT user_id, count(DISTINCT item_id) AS items
    FROM interactions
    WHERE user_id IN (SELECT user_id FROM sharing) AND dt >= {since}
    GROUP BY user_id
)

SELECT user_id, shared, items, shared / sqrt(CAST(items AS double) * (SELECT count(*) FROM own)) AS cosine
FROM sharing
INNER JOIN sizes USING (user_id)
ORDER BY cosine DESC, user_id
LIMIT {limit}
