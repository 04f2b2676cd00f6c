-- Users, and their sessions, of whom nothing may be kept that happened before a time. `rows` is what the
-- receipt of a user says.
CREATE TABLE erased_subjects (
    tenant text NOT NULL,
    subject text NOT NULL,
    erasure_id text NOT NULL,
    erased_at timestamptz NOT NULL,
    rows jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, subject)
);
