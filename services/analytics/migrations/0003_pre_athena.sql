-- Queries of Athena's clients, their results for some hours, and the tables that queries made.
CREATE TABLE query_executions (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    query text NOT NULL,
    statement_type text NOT NULL,
    substatement text NOT NULL,
    database text NOT NULL,
    catalog text NOT NULL,
    workgroup text NOT NULL,
    output_location text,
    request_token text,
    state text NOT NULL DEFAULT 'QUEUED' CHECK (
        state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')
    ),
    reason text,
    is_system_error boolean NOT NULL DEFAULT false,
    submitted_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    alive_at timestamptz NOT NULL DEFAULT now(), -- when the process that runs it was last alive
    seconds double precision,
    columns jsonb NOT NULL DEFAULT '[]',
    row_count bigint NOT NULL DEFAULT 0,
    manifest text,
    UNIQUE (tenant, request_token)
);
CREATE INDEX query_executions_of_tenant ON query_executions (tenant, submitted_at DESC);
CREATE INDEX query_executions_old ON query_executions (submitted_at);

-- Rows of a result, 1,000 to a page: a JSON array of arrays of texts.
CREATE TABLE query_pages (
    id uuid NOT NULL REFERENCES query_executions ON DELETE CASCADE,
    page int NOT NULL,
    rows json NOT NULL,
    PRIMARY KEY (id, page)
);

CREATE TABLE query_tables (
    tenant text NOT NULL,
    name text NOT NULL,
    place text NOT NULL,
    columns jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, name)
);
