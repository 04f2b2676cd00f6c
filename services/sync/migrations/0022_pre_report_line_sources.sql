-- Reports tell through which source the orders of files came.
CREATE OR REPLACE VIEW order_lines_v1 AS
SELECT o.tenant, o.order_id, o.unified_customer_id AS user_id, o.customer_name, o.city,
    coalesce(o.province, o.country) AS province, o.status, o.bought AS is_bought, o.ordered_at,
    CASE
        WHEN o.source_id IS NULL THEN 'historical'
        WHEN s.kind = 'erp' AND starts_with(o.order_id, coalesce(s.config ->> 'store_prefix', 'pos-')) THEN 'pos'
        ELSE 'oe'
    END AS channel,
    l.product_id AS item_id, l.product_name AS name, l.category, l.price, l.quantity,
    coalesce(l.remaining, l.quantity + c.quantity) AS remaining, o.source
FROM orders AS o
JOIN order_items AS l USING (tenant, kind, order_id)
LEFT JOIN order_items AS c ON c.tenant = l.tenant AND c.order_id = l.order_id AND c.kind = 'cancellation'
    AND c.product_id = l.product_id AND c.n = l.n
LEFT JOIN sources AS s ON s.id = o.source_id
WHERE o.kind = 'order';
