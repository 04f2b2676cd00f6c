-- The log: every interaction once, under the id that its sender gave it or that follows from what it is.
CREATE TABLE interactions (
    tenant text NOT NULL,
    event_id text NOT NULL,
    user_id text,
    session_id text,
    event_type text NOT NULL,
    sender_type text,
    item_id text,
    value double precision,
    quantity double precision,
    price double precision,
    order_id text,
    recommendation_id text,
    impression text[],
    attribution_source text,
    properties jsonb,
    city text,
    province text,
    country text,
    source text NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    historical boolean NOT NULL,
    -- Of what the event says, to notice an id that is used twice for different things.
    fingerprint bigint NOT NULL,
    PRIMARY KEY (tenant, event_id),
    CHECK (user_id IS NOT NULL OR session_id IS NOT NULL)
);

-- A snapshot of a tenant in the order of time; filled mostly at its end, so it costs little.
CREATE INDEX interactions_by_time ON interactions (tenant, occurred_at);
-- The history of one user, or of a session before login, newest first.
CREATE INDEX interactions_by_user ON interactions (tenant, user_id, occurred_at) WHERE user_id IS NOT NULL;
CREATE INDEX interactions_by_session ON interactions (tenant, session_id, occurred_at)
    WHERE session_id IS NOT NULL;

-- How many rows of each type the log has: changed in the transaction that adds the rows.
CREATE TABLE interaction_counts (
    tenant text NOT NULL,
    event_type text NOT NULL,
    rows bigint NOT NULL,
    PRIMARY KEY (tenant, event_type)
);

-- Events that came under the id of another event but say something else: the first one holds.
CREATE TABLE event_conflicts (
    tenant text NOT NULL,
    event_id text NOT NULL,
    fingerprint bigint NOT NULL,
    event jsonb NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, event_id, fingerprint)
);

CREATE VIEW interactions_v1 AS
SELECT tenant, event_id, user_id, session_id, event_type, sender_type, item_id, value, quantity, price,
    order_id, recommendation_id, impression, properties, city, province, country, source, occurred_at,
    received_at, historical
FROM interactions;

GRANT USAGE ON SCHEMA tracker TO trainer, engine, recommender, router;
GRANT SELECT ON interactions_v1 TO trainer, engine, recommender, router;
