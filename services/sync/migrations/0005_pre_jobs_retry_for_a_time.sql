-- Attempts that end because something is away are bounded by time; the count is for workers that die.
ALTER TABLE jobs
    ADD COLUMN retries int NOT NULL DEFAULT 0, -- attempts that ended because something was away
    ADD COLUMN retrying_since timestamptz;     -- when the first of them ended, in a row
