-- Users of whom the trainer's snapshots take nothing that happened before a time: the log may still have it, until the
-- tracker has erased it too.
CREATE VIEW erased_users_v1 AS SELECT tenant, user_id, deleted_at AS erased_at FROM deleted_users;
GRANT SELECT ON erased_users_v1 TO trainer;
