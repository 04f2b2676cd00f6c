-- How many files a table of the event lake got since its last maintenance: a large import adds hundreds in a minute.
ALTER TABLE lake_tables ADD COLUMN added_files bigint NOT NULL DEFAULT 0;
