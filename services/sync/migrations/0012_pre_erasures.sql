-- Users of whom nothing may be kept that was said before a time. `rows` is what the receipt says.
CREATE TABLE erased_users (
    tenant text NOT NULL,
    user_id text NOT NULL,
    erasure_id text NOT NULL,
    erased_at timestamptz NOT NULL,
    rows jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, user_id)
);
