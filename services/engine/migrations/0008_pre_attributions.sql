-- What metric attributions have counted: quarters of an hour by the time of the events.
CREATE TABLE attribution_looks (
    attribution bigint PRIMARY KEY REFERENCES resources ON DELETE CASCADE,
    looked_at timestamptz NOT NULL
);

CREATE TABLE attribution_buckets (
    attribution bigint NOT NULL REFERENCES resources ON DELETE CASCADE,
    bucket timestamptz NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (attribution, bucket)
);

CREATE TABLE attribution_values (
    attribution bigint NOT NULL,
    bucket timestamptz NOT NULL,
    metric text NOT NULL,
    source text NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (attribution, bucket, metric, source),
    FOREIGN KEY (attribution, bucket) REFERENCES attribution_buckets ON DELETE CASCADE
);
