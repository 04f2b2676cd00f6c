-- What metrics need of an outcome: its order, and whether it names an answer of the experiment.
ALTER TABLE outcomes
    ADD COLUMN order_id text,
    ADD COLUMN recommended boolean NOT NULL DEFAULT false;
