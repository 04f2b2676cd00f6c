-- Users of whom no list may be kept that a run made which began before a time; a load leaves theirs out.
-- `rows` is what the receipt says: how many lists went.
CREATE TABLE erased_users (
    tenant text NOT NULL,
    user_id text NOT NULL,
    erasure_id text NOT NULL,
    erased_at timestamptz NOT NULL,
    rows jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, user_id)
);
