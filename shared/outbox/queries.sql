-- append --
-- Add rows, in the order of the arrays; the schema is the name of the service they come from.
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, tenant, headers)
SELECT id, :topic, key, type, payload, tenant,
       headers || jsonb_build_object('ce_source', '/endcap/' || current_schema())
FROM unnest(
    :ids::text[], :keys::text[], :types::text[], :payloads::json[], :tenants::text[], :headers::jsonb[]
) WITH ORDINALITY AS rows (id, key, type, payload, tenant, headers, position)
ORDER BY position;

-- waiting --
-- Whether there is anything to publish.
SELECT EXISTS (SELECT FROM outbox);

-- lock --
-- Become the one relay of this schema until the transaction ends; a relay that hangs loses its turn.
SELECT pg_try_advisory_xact_lock(hashtext('endcap.outbox'), hashtext(current_schema())),
       set_config('idle_in_transaction_session_timeout', '30s', true);

-- next --
-- The oldest rows.
SELECT seq, aggregatetype AS topic, aggregateid AS key, payload::text AS payload, headers
FROM outbox ORDER BY seq LIMIT :count;

-- done --
-- Forget rows that Kafka has acknowledged.
DELETE FROM outbox WHERE seq = ANY(:rows::bigint[]);

-- backlog --
-- How many rows wait (counted up to a hundred thousand), and how old the oldest is.
SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) AS counted) AS pending,
       coalesce(
           (SELECT extract(epoch FROM now() - created_at) FROM outbox ORDER BY seq LIMIT 1), 0
       )::float8 AS age;
