-- The tables of `shared/outbox`, in the schema of the service whose migration includes this file. The column
-- names are those of Debezium's outbox event router.
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL,
    aggregatetype text NOT NULL, -- the topic
    aggregateid text NOT NULL,   -- the key
    type text NOT NULL,          -- ce_type, or 'tombstone'
    payload json,                -- the text of the event, unchanged; null for a tombstone
    tenant text NOT NULL,
    headers jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Rows that Kafka has rejected, with its reason; an operator has to look at them.
CREATE TABLE outbox_set_aside (
    seq bigint PRIMARY KEY,
    id text NOT NULL,
    aggregatetype text NOT NULL,
    aggregateid text NOT NULL,
    type text NOT NULL,
    payload json,
    tenant text NOT NULL,
    headers jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    reason text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT now()
);
