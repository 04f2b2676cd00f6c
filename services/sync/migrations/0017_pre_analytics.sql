-- The analytics service compares answers with the catalogue.
GRANT USAGE ON SCHEMA sync TO analytics;
GRANT SELECT ON catalogue_rooms_v1, items_v1, users_v1 TO analytics;
