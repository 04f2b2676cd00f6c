-- A tenant's rules of intake: its own names of event types, and which events are kept out of personalization.
CREATE TABLE intake_rules (
    tenant text PRIMARY KEY,
    rules jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- Why an event is kept out of personalization: it stays in the log alone. consent, bot or internal.
ALTER TABLE interactions ADD COLUMN withheld text;

CREATE OR REPLACE VIEW interactions_v1 AS
SELECT tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
    order_id, recommendation_id, impression, properties, city, province, country, source, occurred_at,
    received_at, historical, attribution_source, stored_at
FROM interactions
WHERE withheld IS NULL
  AND NOT (
    event_type = 'purchase' AND EXISTS (
        SELECT FROM returned_lines AS line
        WHERE line.tenant = interactions.tenant AND line.event_id = interactions.event_id AND line.returned
    )
);
