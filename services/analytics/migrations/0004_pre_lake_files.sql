-- How many files a table of the event lake got since they were last joined: an import adds one for each day.
ALTER TABLE lake_tables ADD COLUMN added_files bigint NOT NULL DEFAULT 0;
