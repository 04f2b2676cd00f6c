-- append --
-- Add rows, in the order of the arrays, and notify the relay when they are committed; the schema is the name of
-- the service they come from.
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

-- set_aside --
-- Move a row that Kafka refuses for what it is out of the way of the others.
WITH moved AS (
    DELETE FROM outbox WHERE seq = :seq
    RETURNING seq, id, aggregatetype, aggregateid, type, payload, tenant, headers, created_at
)
INSERT INTO outbox_set_aside (
    seq, id, aggregatetype, aggregateid, type, payload, tenant, headers, created_at, reason
)
SELECT seq, id, aggregatetype, aggregateid, type, payload, tenant, headers, created_at, :reason FROM moved;

-- backlog --
-- How many rows wait (counted up to a hundred thousand), how old the oldest is, and how many are set aside.
SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) AS counted) AS pending,
       coalesce(
           (SELECT extract(epoch FROM now() - created_at) FROM outbox ORDER BY seq LIMIT 1), 0
       )::float8 AS age,
       (SELECT count(*) FROM outbox_set_aside) AS set_aside;
