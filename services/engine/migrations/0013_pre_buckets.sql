-- Places of the object store that a tenant (none: every tenant of the account) may use beside its own prefixes
-- of the two shared buckets. The bucket `*` is every bucket; a prefix is empty or ends with a slash.
CREATE TABLE bucket_grants (
    account text NOT NULL REFERENCES accounts,
    tenant text REFERENCES tenants,
    bucket text NOT NULL,
    prefix text NOT NULL CHECK (prefix = '' OR prefix LIKE '%/'),
    read_only boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (account, tenant, bucket, prefix)
);

-- The key pairs of the object store that jobs use there instead of the engine's own.
CREATE TABLE bucket_keys (
    account text NOT NULL REFERENCES accounts,
    tenant text REFERENCES tenants,
    access_key_id text NOT NULL,
    secret_encrypted bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (account, tenant)
);

-- Key pairs of programs that are accounts of the object store as well: it limits what jobs do with them.
ALTER TABLE aws_keys ADD COLUMN opens_store boolean NOT NULL DEFAULT false;

-- Metric attributions write for as long as they exist: those that are there keep their place.
INSERT INTO bucket_grants (account, tenant, bucket, prefix, read_only)
SELECT DISTINCT account, tenant, place[1],
    CASE WHEN place[2] = '' OR place[2] LIKE '%/' THEN place[2] ELSE place[2] || '/' END,
    false
FROM resources
CROSS JOIN LATERAL regexp_match(
    document #>> '{metricsOutputConfig,s3DataDestination,path}', '^s3://([^/]+)/?(.*)$'
) AS place
WHERE type = 'metric-attribution' AND place IS NOT NULL;
