-- The runs of sources that are asked for their orders.
ALTER TABLE sources
    ADD COLUMN next_pull_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN pulls int NOT NULL DEFAULT 0,             -- runs so far
    ADD COLUMN full_wanted boolean NOT NULL DEFAULT true, -- the next run reads everything
    ADD COLUMN full_at timestamptz,                      -- when the newest run that read everything ended
    ADD COLUMN read_until date,                          -- the last day that a run has read to its end
    ADD COLUMN pulled_at timestamptz,                    -- when the newest run ended
    ADD COLUMN pulled_objects bigint NOT NULL DEFAULT 0, -- orders, items and users that the newest run has read
    ADD COLUMN pull_warnings jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN pull_error text;                          -- why the newest run failed
CREATE INDEX sources_due ON sources (next_pull_at) WHERE enabled AND kind <> 'webhook';

-- The hash of what a source said last of an order, item or user: only a change enters the inbox.
CREATE TABLE pulled_objects (
    source_id text NOT NULL,
    topic text NOT NULL,
    object_id text NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (source_id, topic, object_id)
);
