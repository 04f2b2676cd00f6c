-- Reports of orders, which a job computes after each training run and each night; requests read them alone.
-- A selection is JSON of a period, categories, a place and an order source: see domain/selections.py.
CREATE TABLE report_selections (
    tenant text NOT NULL,
    selection text NOT NULL,
    is_usual boolean NOT NULL,           -- computed without being asked for
    asked_at timestamptz NOT NULL DEFAULT now(),
    computed_at timestamptz,             -- when its orders were read; null until it is computed for the first time
    PRIMARY KEY (tenant, selection)
);
CREATE INDEX report_selections_asked ON report_selections (tenant, asked_at) WHERE NOT is_usual;

-- A report without orders has no row. `customer_field` is the member of rows that names a customer, if one does.
CREATE TABLE reports (
    tenant text NOT NULL,
    selection text NOT NULL,
    name text NOT NULL,
    rows json NOT NULL,                  -- with the members in their order, which files keep
    total bigint NOT NULL,
    summary jsonb NOT NULL,
    customer_field text,
    PRIMARY KEY (tenant, selection, name),
    FOREIGN KEY (tenant, selection) REFERENCES report_selections ON DELETE CASCADE
);
CREATE INDEX reports_of_customers ON reports (tenant) WHERE customer_field IS NOT NULL;

-- include shared/jobs/migrations/0001_jobs.sql
