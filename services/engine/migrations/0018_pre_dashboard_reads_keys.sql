-- The dashboard signs people in by their API keys.
GRANT USAGE ON SCHEMA engine TO dashboard;
GRANT SELECT ON keys_v1, aws_keys_v1, accounts_v1 TO dashboard;
