"""The analysis queries of the AWS design, as they are there."""

from __future__ import annotations

PURCHASES = """
SELECT user_id, COUNT(*) AS interaction_count
FROM interactions
WHERE event_type = 'purchase'
GROUP BY user_id
ORDER BY interaction_count DESC
LIMIT 10;
"""
POPULARITY = """
SELECT
    item_id,
    SUM(CASE WHEN event_type = 'view' THEN 1 ELSE 0 END) AS views,
    SUM(CASE WHEN event_type = 'purchase' THEN 1 ELSE 0 END) AS purchases,
    SUM(CASE WHEN event_type = 'add_to_cart' THEN 1 ELSE 0 END) AS carts,
    COUNT(DISTINCT user_id) AS unique_users
FROM interactions
WHERE event_type IN ('view', 'purchase', 'add_to_cart')
GROUP BY item_id
ORDER BY purchases DESC, item_id
"""
