-- The loader counts which users have a list, and how popular the items of lists are.
GRANT USAGE ON SCHEMA tracker TO loader;
GRANT SELECT ON interactions_v1 TO loader;
