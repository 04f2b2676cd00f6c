-- What clients created with calls of IAM: roles, policies and what ties them. Nothing reads it but these calls.

CREATE TABLE identities (
    account text NOT NULL REFERENCES accounts,
    type text NOT NULL,
    parent text NOT NULL,
    name text NOT NULL,
    document jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, type, parent, name)
);
