-- Designs of experiments beside the split, and answers that have items of several variants.

ALTER TABLE experiments ADD COLUMN design jsonb NOT NULL DEFAULT '{"kind": "split"}';

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.surface, OLD.traffic, OLD.salt, OLD.variants, OLD.layer, OLD.unit, OLD.metrics, OLD.phase, OLD.design)
        IS DISTINCT FROM
        (NEW.surface, NEW.traffic, NEW.salt, NEW.variants, NEW.layer, NEW.unit, NEW.metrics, NEW.phase, NEW.design) THEN
        RAISE EXCEPTION 'a version of an experiment never changes; add another one';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE VIEW experiments_v1 AS
SELECT DISTINCT ON (tenant, name)
    tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at,
    layer, unit, forced, disabled, revision, changed_at, design
FROM experiments
WHERE started_at IS NOT NULL
ORDER BY tenant, name, version DESC;

-- Which variant picked each item of an answer; `unit` is the user, else the session.
CREATE TABLE interleaved_answers (
    tenant text NOT NULL,
    experiment text NOT NULL,
    version int NOT NULL,
    recommendation_id text NOT NULL,
    unit text NOT NULL,
    served_at timestamptz NOT NULL,
    item_ids text[] NOT NULL,
    picked_by text[] NOT NULL,
    PRIMARY KEY (tenant, experiment, version, recommendation_id)
);
CREATE INDEX interleaved_answers_by_unit ON interleaved_answers (tenant, unit);

-- What an event of an interleaving experiment was about, so that the variant that picked the item is credited.
ALTER TABLE outcomes ADD COLUMN item_id text, ADD COLUMN recommendation_id text;
