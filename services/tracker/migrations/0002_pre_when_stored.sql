-- When a row was stored, which may be long after it was received: who counts rows as they come goes by it.
-- The rows lie in this order, so the index of their ranges costs next to nothing.
ALTER TABLE interactions ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX interactions_by_storing ON interactions USING brin (stored_at) WITH (pages_per_range = 32);

CREATE OR REPLACE VIEW interactions_v1 AS
SELECT tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
    order_id, recommendation_id, impression, properties, city, province, country, source, occurred_at,
    received_at, historical, attribution_source, stored_at
FROM interactions;
