-- jsonb writes its own text (1e300 becomes 301 digits), which can be larger than what was measured and
-- than what Kafka takes; json keeps the event's text.
ALTER TABLE outbox ALTER COLUMN payload TYPE json USING payload::json;
