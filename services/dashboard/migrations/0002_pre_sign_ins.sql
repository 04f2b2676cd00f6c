-- Sign-ins that are under way at an identity provider. A row is taken once; it is bound to the browser by a cookie, of
-- which only the SHA-256 is stored.

CREATE TABLE sign_ins (
    state_hash bytea PRIMARY KEY,
    browser_hash bytea NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    destination text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sign_ins_by_time ON sign_ins (began_at);
