-- Users and sessions of whom nothing may be kept that happened before a time: the recommender copies these times to
-- Redis, and reads them again after Redis lost them.
CREATE VIEW erased_subjects_v1 AS SELECT tenant, subject, erased_at FROM erased_subjects;
GRANT SELECT ON erased_subjects_v1 TO recommender;
