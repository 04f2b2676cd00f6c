-- Units of whom nothing may be kept that happened before a time. `rows` is what the receipt says.
CREATE TABLE erased_units (
    tenant text NOT NULL,
    unit text NOT NULL,
    erasure_id text NOT NULL,
    erased_at timestamptz NOT NULL,
    rows jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, unit)
);
