-- A version of an uploaded object is one import, unless that failed because something stayed away.
ALTER TABLE imports ADD COLUMN outage boolean NOT NULL DEFAULT false;
DROP INDEX imports_of_object;
CREATE UNIQUE INDEX imports_of_object ON imports (bucket, object_key, etag, said_at)
    WHERE origin = 'upload' AND NOT outage;
