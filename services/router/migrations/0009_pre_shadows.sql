-- Answers of variants that nobody saw.
CREATE TABLE shadow_answers (
    tenant text NOT NULL,
    experiment text NOT NULL,
    version int NOT NULL,
    variant text NOT NULL,
    recommendation_id text NOT NULL,
    served_at timestamptz NOT NULL,
    overlap double precision NOT NULL,
    milliseconds double precision NOT NULL,
    shown_milliseconds double precision NOT NULL,
    size bigint NOT NULL,
    item_ids text[] NOT NULL,
    PRIMARY KEY (tenant, experiment, version, variant, recommendation_id)
);
