-- Sources: programs of a shop that send orders, items and users, or that are asked for them. Secrets are encrypted.
CREATE TABLE sources (
    id text PRIMARY KEY,                -- random: it is in the address of webhooks
    tenant text NOT NULL,
    name text NOT NULL COLLATE "C",
    kind text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    config jsonb NOT NULL,
    secrets_encrypted bytea,
    secret_names text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, name)
);

-- What sources sent, before it is merged. A delivery is stored once; the answer to its sender is 200 once it is here.
CREATE TABLE inbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id text NOT NULL,
    tenant text NOT NULL,
    topic text NOT NULL,
    delivery text NOT NULL,
    body bytea NOT NULL,
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'applied', 'ignored', 'failed')),
    reason text,
    received_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    UNIQUE (source_id, topic, delivery)
);
CREATE INDEX inbox_waiting ON inbox (tenant, seq) WHERE status = 'waiting';
CREATE INDEX inbox_settled ON inbox (settled_at) WHERE status <> 'waiting';
CREATE INDEX inbox_of_source ON inbox (source_id, seq);

-- Orders that a source follows have versions. An order of a file has revision 0, no source_id, and lines without keys.
ALTER TABLE orders
    ADD COLUMN source_id text,
    ADD COLUMN revision int NOT NULL DEFAULT 0,
    ADD COLUMN status text,
    ADD COLUMN bought boolean NOT NULL DEFAULT true,
    ADD COLUMN changed_at timestamptz;  -- the source's time of the newest version
ALTER TABLE order_items
    ADD COLUMN line_key text,           -- the source's id of the line
    ADD COLUMN remaining double precision; -- the quantity that stays bought; none if nobody follows the order

-- The versions of followed orders, without persons.
CREATE TABLE order_versions (
    tenant text NOT NULL,
    order_id text NOT NULL COLLATE "C",
    revision int NOT NULL,
    source text NOT NULL,
    status text,
    changed_at timestamptz,
    stored_at timestamptz NOT NULL DEFAULT now(),
    lines jsonb NOT NULL,
    PRIMARY KEY (tenant, order_id, revision)
);

-- Returned quantities by the id of the return; it may come before its order.
CREATE TABLE order_returns (
    tenant text NOT NULL,
    order_id text NOT NULL COLLATE "C",
    return_id text NOT NULL,
    line text NOT NULL,                 -- `key:` and a line's key, or `item:` and a product
    quantity double precision NOT NULL,
    PRIMARY KEY (tenant, order_id, return_id, line)
);
