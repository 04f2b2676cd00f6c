-- How many items and users a tenant has, for quotas. Triggers count, so that whoever adds or deletes rows keeps it right.
CREATE TABLE catalogue_counts (
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('items', 'users')),
    rows bigint NOT NULL,
    PRIMARY KEY (tenant, kind)
);

CREATE FUNCTION count_catalogue() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalogue_counts AS known (tenant, kind, rows)
        SELECT tenant, TG_TABLE_NAME, count(*) FROM changed GROUP BY tenant ORDER BY tenant
        ON CONFLICT (tenant, kind) DO UPDATE SET rows = known.rows + excluded.rows;
    ELSE
        UPDATE catalogue_counts AS known SET rows = known.rows - gone.rows
        FROM (SELECT tenant, count(*) AS rows FROM changed GROUP BY tenant) AS gone
        WHERE known.tenant = gone.tenant AND known.kind = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER items_added AFTER INSERT ON items
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_catalogue();
CREATE TRIGGER items_deleted AFTER DELETE ON items
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_catalogue();
CREATE TRIGGER users_added AFTER INSERT ON users
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_catalogue();
CREATE TRIGGER users_deleted AFTER DELETE ON users
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_catalogue();

INSERT INTO catalogue_counts (tenant, kind, rows)
SELECT tenant, 'items', count(*) FROM items GROUP BY tenant
UNION ALL
SELECT tenant, 'users', count(*) FROM users GROUP BY tenant;
