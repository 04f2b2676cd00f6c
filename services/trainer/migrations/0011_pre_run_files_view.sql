-- Runs that have files, which contain rows of all users, for exports of a person's data.
CREATE VIEW runs_with_files_v1 AS
SELECT tenant, count(*) AS runs
FROM runs
WHERE started_at IS NOT NULL AND files_removed_at IS NULL
GROUP BY tenant;
GRANT USAGE ON SCHEMA trainer TO engine;
GRANT SELECT ON runs_with_files_v1 TO engine;
