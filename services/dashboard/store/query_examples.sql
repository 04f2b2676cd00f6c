-- Events by day
SELECT dt, count(*) AS events, count(DISTINCT user_id) AS users
FROM interactions
GROUP BY dt
ORDER BY dt

-- Customers with most purchases
SELECT user_id, count(*) AS purchases
FROM interactions
WHERE event_type = 'purchase'
GROUP BY user_id
ORDER BY purchases DESC
LIMIT 20

-- Popular items
SELECT item_id, count(*) AS events, count(DISTINCT user_id) AS users
FROM interactions
WHERE event_type IN ('view', 'purchase', 'add_to_cart')
GROUP BY item_id
ORDER BY users DESC
LIMIT 20

-- Units by category
SELECT category, sum(quantity) AS units
FROM order_items
GROUP BY category
ORDER BY units DESC
LIMIT 20

-- Answers by placement
SELECT placement, count(*) AS answers
FROM servings
GROUP BY placement
ORDER BY answers DESC
