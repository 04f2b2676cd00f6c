-- Posted files are deleted some days after their import has ended.
ALTER TABLE imports ADD COLUMN file_deleted_at timestamptz;
CREATE INDEX imports_with_file ON imports (finished_at)
    WHERE origin = 'request' AND file_deleted_at IS NULL AND finished_at IS NOT NULL;
