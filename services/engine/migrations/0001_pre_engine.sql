-- Accounts, tenants, keys, and every resource of the Personalize control plane in one table.

CREATE TABLE accounts (
    id text PRIMARY KEY CHECK (id ~ '^[0-9]{12}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A row stays when its dataset group is deleted, so that no id is ever used twice.
CREATE TABLE tenants (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]*$'),
    account text NOT NULL REFERENCES accounts,
    dataset_group text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
);

-- API keys, by their SHA-256 alone. A service key belongs to no tenant.
CREATE TABLE keys (
    id text PRIMARY KEY,
    key_hash bytea NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('key', 'service')),
    tenant text REFERENCES tenants,
    scopes text[] NOT NULL,
    label text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    CHECK ((kind = 'service') = (tenant IS NULL))
);

-- AWS key pairs. SigV4 needs the secret itself, so it is encrypted.
CREATE TABLE aws_keys (
    access_key_id text PRIMARY KEY,
    account text NOT NULL REFERENCES accounts,
    secret_encrypted bytea NOT NULL,
    label text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One row per resource. `document` is what Describe shows beside the columns, in the wire's spelling;
-- `facts` is what only Endcap needs to know. `parent` is the path that List filters by. Schemas belong to
-- the account, everything else to a tenant.
CREATE TABLE resources (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL REFERENCES accounts,
    tenant text REFERENCES tenants,
    type text NOT NULL,
    path text NOT NULL,
    parent text,
    arn text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    failure_reason text,
    document jsonb NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account, path),
    CHECK ((type = 'schema') = (tenant IS NULL))
);
CREATE INDEX resources_listed ON resources (account, type, id);
CREATE INDEX resources_children ON resources (account, parent, type, id);

-- What was answered to a call that changed something: a client that repeats the call gets it again.
CREATE TABLE invocations (
    account text NOT NULL,
    tenant text NOT NULL,
    operation text NOT NULL,
    invocation text NOT NULL,
    response jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, tenant, operation, invocation)
);
CREATE INDEX invocations_old ON invocations (created_at);

-- The Parquet objects that make up a dataset now, oldest first.
CREATE TABLE dataset_parts (
    dataset bigint NOT NULL REFERENCES resources ON DELETE CASCADE,
    position bigint GENERATED ALWAYS AS IDENTITY,
    import bigint NOT NULL,
    key text NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (dataset, position)
);

-- Prefixes of the data bucket that nothing points at any more; a reader may be busy with them still.
CREATE TABLE garbage (
    prefix text PRIMARY KEY,
    delete_after timestamptz NOT NULL
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
