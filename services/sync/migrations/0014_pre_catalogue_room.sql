-- How many items and users a tenant may have, as sync's workers write it, and how many there are: for whoever accepts
-- items and users that sync will merge.
CREATE TABLE catalogue_quotas (
    kind text PRIMARY KEY CHECK (kind IN ('items', 'users')),
    most bigint NOT NULL
);

CREATE VIEW catalogue_rooms_v1 AS
SELECT counts.tenant, counts.kind, counts.rows, quotas.most
FROM catalogue_counts AS counts
JOIN catalogue_quotas AS quotas ON quotas.kind = counts.kind;

GRANT USAGE ON SCHEMA sync TO tracker;
GRANT SELECT ON catalogue_rooms_v1, items_v1, users_v1 TO tracker;
