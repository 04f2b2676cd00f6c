-- Tenants may read the same bucket, and say of what kind a file is: a version of an object is one import of each.
DROP INDEX imports_of_object;
CREATE UNIQUE INDEX imports_of_object ON imports (bucket, object_key, etag, said_at, tenant, kind)
    WHERE origin = 'upload' AND NOT outage;
