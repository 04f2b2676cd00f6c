-- Rows of item and user files while the file is read: a thing that stands in a file twice changes once.
-- Not logged, as staged_lines.
CREATE UNLOGGED TABLE staged_puts (
    import_id text NOT NULL,
    file_line int NOT NULL,
    id text NOT NULL COLLATE "C",
    fields jsonb NOT NULL,
    attributes jsonb NOT NULL
);
