-- append --
-- Add rows in the order of the arrays, with the schema as their source, and notify the relay on commit.
WITH added AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, tenant, headers)
    SELECT id, :topic, key, type, payload, tenant,
           headers || jsonb_build_object('ce_source', '/endcap/' || current_schema())
    FROM unnest(
        :ids::text[], :keys::text[], :types::text[], :payloads::json[], :tenants::text[], :headers::jsonb[]
    ) WITH ORDINALITY AS rows (id, key, type, payload, tenant, headers, position)
    ORDER BY position
)
SELECT pg_notify(current_schema(), 'outbox');

-- waiting --
-- Return whether there is a row to publish.
SELECT EXISTS (SELECT FROM outbox);

-- lock --
-- Become the active relay of this schema until the transaction ends; a relay that hangs loses its connection.
SELECT pg_try_advisory_xact_lock(hashtext('endcap.outbox'), hashtext(current_schema())),
       set_config('idle_in_transaction_session_timeout', '30s', true);

-- next --
-- The oldest rows, in the order in which they were added.
SELECT seq, aggregatetype AS topic, aggregateid AS key, payload::text AS payload, headers
FROM outbox ORDER BY seq LIMIT :count;

-- done --
-- Delete rows that Kafka has acknowledged.
DELETE FROM outbox WHERE seq = ANY(:rows::bigint[]);

-- set_aside --
-- Move a row that Kafka rejects to another table, so that the following rows are published.
WITH moved AS (
    DELETE FROM outbox WHERE seq = :seq
    RETURNING seq, id, aggregatetype, aggregateid, type, payload, tenant, headers, created_at
)
INSERT INTO outbox_set_aside (
    seq, id, aggregatetype, aggregateid, type, payload, tenant, headers, created_at, reason
)
SELECT seq, id, aggregatetype, aggregateid, type, payload, tenant, headers, created_at, :reason FROM moved;

-- backlog --
-- The number of rows (at most 100000), the age of the oldest in seconds, and the number of rows set aside.
SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) AS counted) AS pending,
       coalesce(
           (SELECT extract(epoch FROM now() - created_at) FROM outbox ORDER BY seq LIMIT 1), 0
       )::float8 AS age,
       (SELECT count(*) FROM outbox_set_aside) AS set_aside;
