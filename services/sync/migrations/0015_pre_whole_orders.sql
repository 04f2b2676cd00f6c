-- Cells of a whole order, its date too, may stand in some of its rows only.
ALTER TABLE staged_lines ALTER COLUMN ordered_at DROP NOT NULL;

-- Orders of which a row was refused: none of their rows is taken. Not logged, as staged_lines.
CREATE UNLOGGED TABLE staged_faults (
    import_id text NOT NULL,
    order_id text NOT NULL COLLATE "C",
    file_line int NOT NULL
);
