-- Layers, unit rules, metrics and phases of experiments; pauses, decisions, forced units, and a log of changes.

ALTER TABLE experiments
    ADD COLUMN layer jsonb,
    ADD COLUMN unit text NOT NULL DEFAULT 'user_else_session',
    ADD COLUMN metrics jsonb,
    ADD COLUMN phase int NOT NULL DEFAULT 1,
    ADD COLUMN forced jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN disabled text[] NOT NULL DEFAULT '{}',
    ADD COLUMN disabled_at timestamptz,
    ADD COLUMN decision jsonb,
    ADD COLUMN revision int NOT NULL DEFAULT 1,
    ADD COLUMN changed_at timestamptz;

-- Each earlier version was a measurement of its own.
UPDATE experiments SET phase = version;

ALTER TABLE experiments DROP CONSTRAINT experiments_status_check;
ALTER TABLE experiments ADD CONSTRAINT experiments_status_check
    CHECK (status IN ('draft', 'running', 'paused', 'stopped', 'decided', 'archived'));
ALTER TABLE experiments DROP CONSTRAINT experiments_check1;
ALTER TABLE experiments ADD CONSTRAINT ended_have_an_end
    CHECK ((status IN ('stopped', 'decided', 'archived')) = (stopped_at IS NOT NULL));

-- Experiments with disjoint segments of one layer may share a surface: starting one checks that, under a lock.
DROP INDEX one_running_per_surface;
DROP INDEX one_running_version;
CREATE UNIQUE INDEX one_running_version ON experiments (tenant, name) WHERE status IN ('running', 'paused');

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.surface, OLD.traffic, OLD.salt, OLD.variants, OLD.layer, OLD.unit, OLD.metrics, OLD.phase)
        IS DISTINCT FROM
        (NEW.surface, NEW.traffic, NEW.salt, NEW.variants, NEW.layer, NEW.unit, NEW.metrics, NEW.phase) THEN
        RAISE EXCEPTION 'a version of an experiment never changes; add another one';
    END IF;
    RETURN NEW;
END $$;

-- Who changed what, in order. A row is never changed.
CREATE TABLE experiment_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    name text NOT NULL,
    version int NOT NULL,
    revision int NOT NULL,
    change text NOT NULL,
    actor text NOT NULL,
    details jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX experiment_changes_by_name ON experiment_changes (tenant, name, id DESC);

CREATE OR REPLACE VIEW experiments_v1 AS
SELECT DISTINCT ON (tenant, name)
    tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at,
    layer, unit, forced, disabled, revision, changed_at
FROM experiments
WHERE started_at IS NOT NULL
ORDER BY tenant, name, version DESC;
