-- What the shop's orders say wins over what was claimed of them: a row that an order has confirmed or replaced.
ALTER TABLE interactions ADD COLUMN confirmed boolean NOT NULL DEFAULT false;

-- `kept` says what holds instead of the event that is noted: the first event of the id, or the shop's order.
ALTER TABLE event_conflicts
    ADD COLUMN kept text NOT NULL DEFAULT 'first' CHECK (kept IN ('first', 'order'));
-- Of an event as JSON what it says, without when it came: the same claim is noted once.
CREATE FUNCTION content_hash(event jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(
        jsonb_build_array(
            event -> 'user_id', event -> 'session_id', event -> 'event_type', event -> 'item_id',
            event -> 'order_id', (event ->> 'quantity')::float8, (event ->> 'price')::float8,
            (event ->> 'value')::float8, event -> 'recommendation_id', event -> 'impression',
            event -> 'properties'
        )::text, 0
    )
$$;
CREATE INDEX event_conflicts_by_time ON event_conflicts (tenant, noticed_at);

-- What does not count any more, for those who had counted it.
CREATE VIEW replaced_claims_v1 AS
SELECT tenant, event_id, event ->> 'event_type' AS event_type,
    (event ->> 'occurred_at')::timestamptz AS occurred_at, noticed_at AS replaced_at
FROM event_conflicts
WHERE kept = 'order';
GRANT SELECT ON replaced_claims_v1 TO engine;
