-- What the recommender needs to choose variants: events of experiments that started or stopped, and a view.

-- include shared/outbox/migrations/0001_outbox.sql

-- The newest version of each experiment that was started.
CREATE VIEW experiments_v1 AS
SELECT DISTINCT ON (tenant, name)
    tenant, name, version, surface, traffic, salt, variants, status, created_at, started_at, stopped_at
FROM experiments
WHERE started_at IS NOT NULL
ORDER BY tenant, name, version DESC;

GRANT USAGE ON SCHEMA router TO recommender;
GRANT SELECT ON experiments_v1 TO recommender;
