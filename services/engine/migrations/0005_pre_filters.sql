-- Filters, as the recommender reads them when Kafka is away.

CREATE VIEW filters_v1 AS
SELECT tenant, name, arn, status, document ->> 'filterExpression' AS expression
FROM resources
WHERE type = 'filter';

GRANT SELECT ON filters_v1 TO tracker, sync, trainer, loader, recommender, router;
