-- Of the refused rows of an import the first ones are kept for some time; the others are counted.
ALTER TABLE imports
    ADD COLUMN rejects_kept bigint NOT NULL DEFAULT 0,
    ADD COLUMN reject_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN rejects_deleted_at timestamptz;
-- Until now all were kept.
UPDATE imports SET rejects_kept = rows_rejected WHERE rows_rejected > 0;
CREATE INDEX imports_with_rejects ON imports (finished_at)
    WHERE rejects_kept > 0 AND rejects_deleted_at IS NULL;
CREATE INDEX imports_pending ON imports (tenant) WHERE status IN ('queued', 'running');
