-- The placements of a tenant. A deleted one keeps its row without a definition, so that its revisions go on growing.

CREATE TABLE placements (
    tenant text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    revision bigint NOT NULL,
    definition jsonb,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE VIEW placements_v1 AS
SELECT tenant, name, revision, definition, changed_at
FROM placements
WHERE definition IS NOT NULL;

GRANT SELECT ON placements_v1 TO recommender;
