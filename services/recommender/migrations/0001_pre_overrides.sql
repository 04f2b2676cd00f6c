-- Items that a shop recommends to a user by hand, until they expire. Redis has a copy for serving: `copied` is
-- false until the row is there. `version` grows with every put, so that an older copy never replaces a newer one.
CREATE SEQUENCE override_versions;
CREATE TABLE overrides (
    tenant text NOT NULL,
    user_id text NOT NULL,
    item_id text NOT NULL,
    score double precision NOT NULL,
    category text,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT nextval('override_versions'),
    copied boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant, user_id, item_id)
);
CREATE INDEX overrides_not_copied ON overrides (version) WHERE NOT copied;
CREATE INDEX overrides_by_version ON overrides (version);
CREATE INDEX overrides_by_expiry ON overrides (expires_at);
