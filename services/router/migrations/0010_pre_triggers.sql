-- Triggered analysis: people for whom the answers of the variants differ.

-- The share of the units whose answers are compared with those of the other variants; null for none.
ALTER TABLE experiments ADD COLUMN trigger_share double precision CHECK (trigger_share > 0 AND trigger_share <= 1);

-- The time of the unit's first answer that differs.
ALTER TABLE exposed_units ADD COLUMN triggered_at timestamptz;

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.surface, OLD.traffic, OLD.salt, OLD.variants, OLD.layer, OLD.unit, OLD.metrics, OLD.phase, OLD.design,
        OLD.trigger_share)
        IS DISTINCT FROM
        (NEW.surface, NEW.traffic, NEW.salt, NEW.variants, NEW.layer, NEW.unit, NEW.metrics, NEW.phase, NEW.design,
        NEW.trigger_share) THEN
        RAISE EXCEPTION 'a version of an experiment never changes; add another one';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE VIEW experiments_v1 AS
SELECT DISTINCT ON (tenant, name)
    tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at,
    layer, unit, forced, disabled, revision, changed_at, design, trigger_share
FROM experiments
WHERE started_at IS NOT NULL
ORDER BY tenant, name, version DESC;
