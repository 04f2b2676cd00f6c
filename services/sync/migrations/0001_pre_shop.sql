-- The shop: its orders, items and users; the imports that bring them; jobs and the outbox.

-- Prices and quantities are double precision, as they are in the events.
CREATE TABLE orders (
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('order', 'cancellation')),
    order_id text NOT NULL COLLATE "C",
    unified_customer_id text,           -- none for a guest
    customer_name text,
    city text,
    province text,
    country text,
    currency text,
    ordered_at timestamptz NOT NULL,
    line_count int NOT NULL,
    content bytea NOT NULL,             -- sha256 of all that the order says: is it the same again?
    source text NOT NULL,
    import_id text,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, kind, order_id)
);
CREATE INDEX orders_of_customer ON orders (tenant, unified_customer_id, ordered_at)
    WHERE unified_customer_id IS NOT NULL;

-- Each line carries what people ask about it, so that a question needs no join. The quantity of a
-- cancellation's line is negative.
CREATE TABLE order_items (
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('order', 'cancellation')),
    order_id text NOT NULL COLLATE "C",
    product_id text NOT NULL COLLATE "C",
    n int NOT NULL CHECK (n > 0),       -- the n-th line of the product in the order
    unified_customer_id text,
    customer_name text,
    province text,
    city text,
    country text,
    product_name text,
    category text,
    price double precision,
    quantity double precision NOT NULL,
    currency text,
    ordered_at timestamptz NOT NULL,
    file_line int,
    import_id text,
    PRIMARY KEY (tenant, order_id, kind, product_id, n)
);

-- `times` says of each field when it was said (microseconds since 1970): what was said later wins.
CREATE TABLE items (
    tenant text NOT NULL,
    item_id text NOT NULL,
    name text,
    category text,
    price double precision,
    currency text,
    available boolean NOT NULL DEFAULT true,
    created_at timestamptz,
    attributes jsonb NOT NULL DEFAULT '{}',
    times jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, item_id)
);

CREATE TABLE users (
    tenant text NOT NULL,
    user_id text NOT NULL,
    name text,
    city text,
    province text,
    country text,
    attributes jsonb NOT NULL DEFAULT '{}',
    times jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, user_id)
);

CREATE TABLE imports (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('orders', 'items', 'users', 'interactions')),
    filename text NOT NULL,
    origin text NOT NULL CHECK (origin IN ('request', 'upload')),
    bucket text NOT NULL,
    object_key text NOT NULL,
    etag text,
    size bigint NOT NULL,
    said_at timestamptz NOT NULL,       -- when the file was sent: the time of what it says of items and users
    mapping jsonb,
    source text,
    encoding text,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed')),
    step text NOT NULL DEFAULT 'read' CHECK (step IN ('read', 'orders', 'items', 'users', 'finish')),
    position jsonb NOT NULL DEFAULT '{}',
    version int NOT NULL DEFAULT 0,
    bytes_read bigint NOT NULL DEFAULT 0,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_staged bigint NOT NULL DEFAULT 0,
    rows_accepted bigint NOT NULL DEFAULT 0,
    rows_duplicate bigint NOT NULL DEFAULT 0,
    rows_rejected bigint NOT NULL DEFAULT 0,
    reasons jsonb NOT NULL DEFAULT '{}',
    changes jsonb NOT NULL DEFAULT '{}',
    last_seq bigint,                    -- the newest outbox row when the import ended
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX imports_of_tenant ON imports (tenant, created_at);
-- One version of an uploaded object is one import, however often it is announced.
CREATE UNIQUE INDEX imports_of_object ON imports (bucket, object_key, etag, said_at)
    WHERE origin = 'upload';

CREATE TABLE import_rejects (
    import_id text NOT NULL,
    line int NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    raw text NOT NULL,
    PRIMARY KEY (import_id, line)
);

-- Order lines between reading and grouping by order, since an order's lines may stand anywhere in a file.
-- Not logged: after a crash of Postgres an import reads its file again.
CREATE UNLOGGED TABLE staged_lines (
    import_id text NOT NULL,
    file_line int NOT NULL,
    raw text NOT NULL,
    kind text NOT NULL COLLATE "C",
    order_id text NOT NULL COLLATE "C",
    position int,
    user_id text COLLATE "C",
    customer_name text,
    ordered_at timestamptz NOT NULL,
    product_id text NOT NULL COLLATE "C",
    product_name text,
    category text,
    quantity double precision NOT NULL,
    price double precision,
    currency text,
    city text,
    province text,
    country text
);

-- The ids of interactions that came in files: a file that comes again adds none.
CREATE TABLE imported_interactions (
    tenant text NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (tenant, event_id)
);

CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    run_after timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    owner text,
    progress jsonb NOT NULL DEFAULT '{}',
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    UNIQUE (kind, key),
    CHECK ((status = 'running') = (lease_until IS NOT NULL))
);
CREATE INDEX jobs_due ON jobs (run_after) WHERE status IN ('queued', 'running');

CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL,
    aggregatetype text NOT NULL, -- the topic
    aggregateid text NOT NULL,   -- the key
    type text NOT NULL,          -- ce_type, or 'tombstone'
    payload jsonb,               -- none for a tombstone
    tenant text NOT NULL,
    headers jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What the other services read.
CREATE VIEW items_v1 AS
SELECT tenant, item_id, name, category, price, currency, available, created_at, attributes, updated_at
FROM items;

CREATE VIEW users_v1 AS
SELECT tenant, user_id, name, city, province, country, attributes, updated_at
FROM users;

GRANT USAGE ON SCHEMA sync TO trainer, engine, recommender, loader;
GRANT SELECT ON items_v1 TO trainer, engine, recommender, loader;
GRANT SELECT ON users_v1 TO trainer, engine, recommender;
