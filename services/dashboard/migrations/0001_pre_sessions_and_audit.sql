-- Who is signed in, and what people changed.

-- A cookie holds the token of a session; only its SHA-256 is stored. A session that began with an API key has
-- the hash of the key, and ends with the key.
CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY,
    tenant text NOT NULL,
    person text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'merchandiser', 'admin')),
    key_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_end ON sessions (ends_at);

-- An entry is written before the change is made, and its outcome after it. An entry that stays `begun` says
-- that the dashboard ended in between.
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    person text NOT NULL,
    role text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    before jsonb,
    after jsonb,
    outcome text NOT NULL DEFAULT 'begun' CHECK (outcome IN ('begun', 'done', 'refused', 'unknown')),
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX audit_log_of_tenants ON audit_log (tenant, id DESC);
