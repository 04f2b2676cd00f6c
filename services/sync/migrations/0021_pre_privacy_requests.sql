-- Requests of shop systems to erase people. The engine makes a data deletion job of each; they are kept as evidence.
CREATE TABLE privacy_requests (
    tenant text NOT NULL,
    request_id text NOT NULL,
    source text NOT NULL,
    user_ids text[] NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, request_id)
);
CREATE VIEW privacy_requests_v1 AS SELECT tenant, request_id, source, user_ids, received_at FROM privacy_requests;
GRANT SELECT ON privacy_requests_v1 TO engine;
