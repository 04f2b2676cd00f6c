-- Which user logged in to a session first, so that what a visitor was shown and what the user did later meet.
CREATE TABLE session_users (
    tenant text NOT NULL,
    session_id text NOT NULL,
    user_id text NOT NULL,
    first_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, session_id)
);
CREATE INDEX session_users_by_user ON session_users (tenant, user_id);

-- One row per event: `unit` is the user, else the session; `session_id` is the session of a user's event.
ALTER TABLE outcomes ADD COLUMN session_id text;
CREATE INDEX outcomes_by_session ON outcomes (tenant, session_id) WHERE session_id IS NOT NULL;
