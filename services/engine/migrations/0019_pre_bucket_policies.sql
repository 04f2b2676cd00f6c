-- Policies of buckets with a service of AWS as principal, which the S3 server does not know. They have no effect.

CREATE TABLE bucket_policies (
    bucket text PRIMARY KEY,
    policy text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
