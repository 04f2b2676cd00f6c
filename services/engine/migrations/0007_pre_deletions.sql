-- Users of whom nothing may be used that happened before a time, wherever it is kept or comes from again.
CREATE TABLE deleted_users (
    tenant text NOT NULL,
    user_id text NOT NULL,
    deleted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, user_id)
);
