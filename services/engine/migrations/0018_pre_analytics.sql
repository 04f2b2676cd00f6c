-- The analytics service checks API keys and key pairs.
GRANT USAGE ON SCHEMA engine TO analytics;
GRANT SELECT ON keys_v1, aws_keys_v1, accounts_v1 TO analytics;
