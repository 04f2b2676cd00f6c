-- What the shop's state has of a person, for exports.
CREATE VIEW user_data_v1 AS
SELECT tenant, user_id AS subject, 'users' AS store, to_jsonb(users) - 'tenant' AS content FROM users
UNION ALL
SELECT tenant, unified_customer_id, 'orders', to_jsonb(orders) - 'tenant' - 'content'
FROM orders WHERE unified_customer_id IS NOT NULL
UNION ALL
SELECT tenant, unified_customer_id, 'order_items', to_jsonb(order_items) - 'tenant'
FROM order_items WHERE unified_customer_id IS NOT NULL;
GRANT SELECT ON user_data_v1 TO engine;
