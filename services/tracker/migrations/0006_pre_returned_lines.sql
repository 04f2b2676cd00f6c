-- Order lines of which nothing stays bought: cancelled, refunded or returned. Their purchases stay in the log, as the
-- history of the order, and do not count. The state of the highest revision of the order holds.
CREATE TABLE returned_lines (
    tenant text NOT NULL,
    event_id text NOT NULL,            -- of the purchase
    revision int NOT NULL,
    returned boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, event_id)
);

CREATE OR REPLACE VIEW interactions_v1 AS
SELECT tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
    order_id, recommendation_id, impression, properties, city, province, country, source, occurred_at,
    received_at, historical, attribution_source, stored_at
FROM interactions
WHERE NOT (
    event_type = 'purchase' AND EXISTS (
        SELECT FROM returned_lines AS line
        WHERE line.tenant = interactions.tenant AND line.event_id = interactions.event_id AND line.returned
    )
);

-- Metric attributions count again what does not count any more.
CREATE OR REPLACE VIEW replaced_claims_v1 AS
SELECT tenant, event_id, event ->> 'event_type' AS event_type,
    (event ->> 'occurred_at')::timestamptz AS occurred_at, noticed_at AS replaced_at
FROM event_conflicts
WHERE kept = 'order'
UNION ALL
SELECT line.tenant, line.event_id, kept.event_type, kept.occurred_at, line.changed_at
FROM returned_lines AS line
JOIN interactions AS kept ON kept.tenant = line.tenant AND kept.event_id = line.event_id
WHERE line.returned AND kept.event_type = 'purchase';
