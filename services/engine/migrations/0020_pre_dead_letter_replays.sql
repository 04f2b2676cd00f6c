-- Records of dead letters that were published again, by their place in the topic that they came from. Several letters
-- of one record are one row, so that it is replayed once; `record_id` tells records of a topic that was created anew.

CREATE TABLE dead_letter_replays (
    tenant text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    record_id text NOT NULL,
    replayed_by text NOT NULL,
    replayed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, topic, partition, record_offset, record_id)
);
CREATE INDEX dead_letter_replays_by_time ON dead_letter_replays (replayed_at);
