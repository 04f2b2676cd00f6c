-- add_import --
-- Insert an import, unless this version of the uploaded object has one that did not fail because of an outage.
INSERT INTO imports (
    id, tenant, kind, filename, origin, bucket, object_key, etag, size, said_at, mapping, source
)
VALUES (
    :id, :tenant, :kind, :filename, :origin, :bucket, :object_key, :etag, :size, :said_at,
    :mapping::jsonb, :source
)
ON CONFLICT DO NOTHING
RETURNING created_at;

-- uploads_to_import --
-- Return the positions (from 1) of the versions of uploaded objects that have no such import.
SELECT u.place
FROM unnest(:keys::text[], :etags::text[], :said_ats::timestamptz[])
    WITH ORDINALITY AS u (key, etag, said_at, place)
WHERE NOT EXISTS (
    SELECT FROM imports i
    WHERE i.origin = 'upload' AND NOT i.outage
      AND i.bucket = :bucket AND i.object_key = u.key AND i.etag = u.etag AND i.said_at = u.said_at
)
ORDER BY u.place;

-- known_tenants --
-- Return those of the names that are tenants.
SELECT tenant FROM engine.accounts_v1 WHERE tenant = ANY(:tenants::text[]);

-- import_of_object --
-- Return the import of a version of an object, as a kind, unless it failed because of an outage.
SELECT * FROM imports
WHERE origin = 'upload' AND NOT outage AND bucket = :bucket AND object_key = :object_key AND etag = :etag
  AND said_at = :said_at AND tenant = :tenant AND kind = :kind;

-- import_by_id --
-- Return an import.
SELECT * FROM imports WHERE id = :id;

-- import_of_tenant --
-- Return an import of a tenant, and whether Kafka has all of its events.
SELECT
    i.*,
    i.status = 'done' AND NOT EXISTS (
        SELECT FROM outbox o WHERE o.seq <= coalesce(i.last_seq, 0)
    ) AS relayed
FROM imports i
WHERE i.tenant = :tenant AND i.id = :id;

-- imports_of_tenant --
-- Return the newest imports of a tenant, and whether Kafka has all of their events.
SELECT
    i.*,
    i.status = 'done' AND NOT EXISTS (
        SELECT FROM outbox o WHERE o.seq <= coalesce(i.last_seq, 0)
    ) AS relayed
FROM imports i
WHERE i.tenant = :tenant
ORDER BY i.created_at DESC, i.id
LIMIT :limit;

-- save_import --
-- Update the state of an import, unless another process has updated it since it was read.
UPDATE imports
SET version = version + 1, status = :status, step = :step, position = :position::jsonb,
    source = :source, encoding = :encoding, header = coalesce(:header, header), bytes_read = :bytes_read, rows_read = :rows_read,
    rows_staged = :rows_staged, rows_accepted = :rows_accepted, rows_duplicate = :rows_duplicate,
    rows_rejected = :rows_rejected, rejects_kept = :rejects_kept, reject_bytes = :reject_bytes,
    reasons = :reasons::jsonb, shortened = :shortened::jsonb, changes = :changes::jsonb,
    last_seq = :last_seq, error = :error,
    training_wanted = (:status = 'done' AND :changes::jsonb <> '{}'), started_at = coalesce(started_at, now()),
    finished_at = CASE WHEN :status IN ('done', 'failed') THEN now() END
WHERE id = :id AND version = :version AND status IN ('queued', 'running')
RETURNING version, started_at;

-- fail_import --
-- Mark an import as failed, unless it has ended.
UPDATE imports
SET version = version + 1, status = 'failed', error = :error, outage = :outage, finished_at = now()
WHERE id = :id AND status IN ('queued', 'running')
RETURNING kind, tenant;

-- lock_training --
-- Serialize the check whether all imports of a tenant have ended: of two at once, the second sees the first.
SELECT pg_advisory_xact_lock(hashtextextended('sync.training:' || :tenant, 0));

-- claim_training --
-- Return an import that wants training if all imports of the tenant have ended, and clear their wishes. It is the one
-- that has just ended, else the newest: the events of the others are published before those of the one that ended last.
WITH claimed AS (
    UPDATE imports SET training_wanted = false
    WHERE tenant = :tenant AND training_wanted AND NOT EXISTS (
        SELECT FROM imports o WHERE o.tenant = :tenant AND o.status IN ('queued', 'running')
    )
    RETURNING id, finished_at
)
SELECT id FROM claimed ORDER BY id = :ended DESC, finished_at DESC, id LIMIT 1;

-- wait_for_outbox --
-- Let an import count as relayed once all present rows of the outbox are published.
UPDATE imports SET last_seq = (SELECT max(seq) FROM outbox) WHERE id = :id;

-- with_old_files --
-- Return a page of the posted imports that ended more than `days` ago and still have files.
SELECT id, bucket, object_key FROM imports
WHERE origin = 'request' AND file_deleted_at IS NULL AND id > :after
  AND finished_at < now() - make_interval(secs => 86400 * :days::float8)
ORDER BY id
LIMIT 100;

-- file_deleted --
-- Record that the file of an import was deleted.
UPDATE imports SET file_deleted_at = now() WHERE id = :id;

-- with_old_rejects --
-- Return some imports that ended more than `days` ago and still have rejected rows.
SELECT id FROM imports
WHERE rejects_kept > 0 AND rejects_deleted_at IS NULL
  AND finished_at < now() - make_interval(secs => 86400 * :days::float8)
ORDER BY finished_at
LIMIT 20;

-- delete_rejects --
-- Delete the rejected rows of expired imports.
WITH deleted AS (
    DELETE FROM import_rejects WHERE import_id = ANY(:ids::text[])
)
UPDATE imports SET rejects_deleted_at = now() WHERE id = ANY(:ids::text[]);

-- count_pending --
-- Return how many imports of a tenant are queued or running, counted up to a limit.
SELECT count(*) FROM (
    SELECT FROM imports WHERE tenant = :tenant AND status IN ('queued', 'running') LIMIT :limit
) AS counted;

-- rejects --
-- Return a page of the rejected rows of an import.
SELECT line, code, reason, raw FROM import_rejects
WHERE import_id = :import_id AND line > :after
ORDER BY line
LIMIT :limit;

-- drop_rejects --
-- Delete the rejected rows of an import that restarts.
DELETE FROM import_rejects WHERE import_id = :import_id;

-- staged_count --
-- Return the number of staged rows of an import; a crash of Postgres empties the unlogged tables.
SELECT (SELECT count(*) FROM staged_lines WHERE import_id = :import_id)
    + (SELECT count(*) FROM staged_puts WHERE import_id = :import_id);

-- reject_incomplete_orders --
-- Remove the staged lines of orders with a rejected row. Count them, and store the first ones for the report, up to
-- `rows` rows and `bytes` bytes.
WITH faults AS MATERIALIZED (
    SELECT order_id, min(file_line) AS file_line FROM staged_faults
    WHERE import_id = :import_id
    GROUP BY order_id
), moved AS (
    DELETE FROM staged_lines s USING faults f
    WHERE s.import_id = :import_id AND s.order_id = f.order_id
    RETURNING s.file_line, s.order_id, s.raw, f.file_line AS fault
), shown AS (
    SELECT file_line, format(:reason, order_id, fault) AS reason, left(raw, :raw) AS raw FROM moved
), measured AS (
    SELECT file_line, reason, raw, row_number() OVER places AS place,
        sum(octet_length(reason) + octet_length(raw)) OVER places AS size
    FROM shown
    WINDOW places AS (ORDER BY file_line)
), kept AS (
    INSERT INTO import_rejects (import_id, line, code, reason, raw)
    SELECT :import_id, file_line, :code, reason, raw FROM measured
    WHERE place <= :rows AND size <= :bytes
    RETURNING octet_length(reason) + octet_length(raw) AS size
)
SELECT (SELECT count(*) FROM moved) AS rejected, (SELECT count(*) FROM kept) AS kept,
    (SELECT coalesce(sum(size), 0) FROM kept)::bigint AS bytes;

-- save_filled_lines --
-- Save the filled cells of staged order lines, which are addressed by their ctid.
UPDATE staged_lines s
SET kind = c.kind, user_id = c.user_id, customer_name = c.customer_name, ordered_at = c.ordered_at,
    quantity = c.quantity, currency = c.currency, city = c.city, province = c.province, country = c.country
FROM unnest(
    :ctids::tid[], :kinds::text[], :user_ids::text[], :customer_names::text[], :ordered_ats::timestamptz[],
    :quantities::float8[], :currencies::text[], :cities::text[], :provinces::text[], :countries::text[]
) AS c (
    line_ctid, kind, user_id, customer_name, ordered_at, quantity, currency, city, province, country
)
WHERE s.ctid = c.line_ctid;

-- reject_oversized_orders --
-- Remove the staged lines of orders that are too large for an event. Count them, and store the first ones for the
-- report, up to `rows` rows and `bytes` bytes.
WITH large AS MATERIALIZED (
    SELECT kind, order_id FROM staged_lines
    WHERE import_id = :import_id
    GROUP BY kind, order_id
    HAVING count(*) > :most
), moved AS (
    DELETE FROM staged_lines s USING large l
    WHERE s.import_id = :import_id AND s.kind = l.kind AND s.order_id = l.order_id
    RETURNING s.file_line, s.order_id, s.raw
), shown AS (
    SELECT file_line, format(:reason, order_id) AS reason, left(raw, :raw) AS raw FROM moved
), measured AS (
    SELECT file_line, reason, raw, row_number() OVER places AS place,
        sum(octet_length(reason) + octet_length(raw)) OVER places AS size
    FROM shown
    WINDOW places AS (ORDER BY file_line)
), kept AS (
    INSERT INTO import_rejects (import_id, line, code, reason, raw)
    SELECT :import_id, file_line, 'order_too_large', reason, raw FROM measured
    WHERE place <= :rows AND size <= :bytes
    RETURNING octet_length(reason) + octet_length(raw) AS size
)
SELECT (SELECT count(*) FROM moved) AS rejected, (SELECT count(*) FROM kept) AS kept,
    (SELECT coalesce(sum(size), 0) FROM kept)::bigint AS bytes;

-- staged_orders --
-- Return the staged lines of orders whose ids follow `after`, sorted by order.
SELECT ctid, file_line, kind, order_id, position, user_id, customer_name, ordered_at, product_id,
    product_name, category, quantity, price, currency, city, province, country
FROM staged_lines
WHERE import_id = :import_id AND order_id > :after
ORDER BY order_id, kind DESC, file_line;

-- reject_staged_lines --
-- Remove staged lines. Count them, and store the first ones for the report, up to `rows` rows and `bytes` bytes.
WITH rejected AS (
    SELECT * FROM unnest(:lines::int[], :codes::text[], :reasons::text[]) AS r (line, code, reason)
), moved AS (
    DELETE FROM staged_lines s USING rejected r
    WHERE s.import_id = :import_id AND s.file_line = r.line
    RETURNING s.file_line, r.code, r.reason, left(s.raw, :raw) AS raw
), measured AS (
    SELECT file_line, code, reason, raw, row_number() OVER places AS place,
        sum(octet_length(reason) + octet_length(raw)) OVER places AS size
    FROM moved
    WINDOW places AS (ORDER BY file_line)
), kept AS (
    INSERT INTO import_rejects (import_id, line, code, reason, raw)
    SELECT :import_id, file_line, code, reason, raw FROM measured
    WHERE place <= :rows AND size <= :bytes
    RETURNING octet_length(reason) + octet_length(raw) AS size
)
SELECT (SELECT count(*) FROM moved) AS rejected, (SELECT count(*) FROM kept) AS kept,
    (SELECT coalesce(sum(size), 0) FROM kept)::bigint AS bytes;

-- drop_staged --
-- Delete the staged rows of an import.
WITH puts AS (
    DELETE FROM staged_puts WHERE import_id = :import_id
), faults AS (
    DELETE FROM staged_faults WHERE import_id = :import_id
)
DELETE FROM staged_lines WHERE import_id = :import_id;

-- staged_puts --
-- Return the staged rows of items or users whose ids follow `after`, sorted by id.
SELECT file_line, id, fields, attributes
FROM staged_puts
WHERE import_id = :import_id AND id > :after
ORDER BY id, file_line;

-- item_updates --
-- Return the newest value of each field of the items in an import's order lines, sorted by id.
SELECT id, field, value, said_at
FROM (
    (
        SELECT DISTINCT ON (product_id)
            product_id AS id, 'name' AS field, to_jsonb(product_name) AS value, ordered_at AS said_at
        FROM staged_lines
        WHERE import_id = :import_id AND ordered_at IS NOT NULL AND product_name IS NOT NULL
        ORDER BY product_id, ordered_at DESC, file_line DESC
    )
    UNION ALL
    (
        SELECT DISTINCT ON (product_id) product_id, 'category', to_jsonb(category), ordered_at
        FROM staged_lines
        WHERE import_id = :import_id AND ordered_at IS NOT NULL AND category IS NOT NULL
        ORDER BY product_id, ordered_at DESC, file_line DESC
    )
    UNION ALL
    (
        -- The price in a cancellation may be an old one.
        SELECT DISTINCT ON (product_id) product_id, 'price', to_jsonb(price), ordered_at
        FROM staged_lines
        WHERE import_id = :import_id AND ordered_at IS NOT NULL AND price IS NOT NULL AND kind = 'order'
        ORDER BY product_id, ordered_at DESC, file_line DESC
    )
    UNION ALL
    (
        SELECT DISTINCT ON (product_id) product_id, 'currency', to_jsonb(currency), ordered_at
        FROM staged_lines
        WHERE import_id = :import_id AND ordered_at IS NOT NULL AND currency IS NOT NULL AND price IS NOT NULL AND kind = 'order'
        ORDER BY product_id, ordered_at DESC, file_line DESC
    )
    UNION ALL
    SELECT product_id, NULL, NULL, max(ordered_at)
    FROM staged_lines
    WHERE import_id = :import_id AND ordered_at IS NOT NULL
    GROUP BY product_id
) AS updates
WHERE id > :after
ORDER BY id;

-- user_updates --
-- Return the newest value of each field of the users in an import's order lines, sorted by id.
SELECT id, field, value, said_at
FROM (
    (
        SELECT DISTINCT ON (user_id)
            user_id AS id, 'name' AS field, to_jsonb(customer_name) AS value, ordered_at AS said_at
        FROM staged_lines
        WHERE import_id = :import_id AND ordered_at IS NOT NULL AND user_id IS NOT NULL AND customer_name IS NOT NULL
        ORDER BY user_id, ordered_at DESC, file_line DESC
    )
    UNION ALL
    (
        SELECT DISTINCT ON (user_id) user_id, 'city', to_jsonb(city), ordered_at
        FROM staged_lines
        WHERE import_id = :import_id AND ordered_at IS NOT NULL AND user_id IS NOT NULL AND city IS NOT NULL
        ORDER BY user_id, ordered_at DESC, file_line DESC
    )
    UNION ALL
    (
        SELECT DISTINCT ON (user_id) user_id, 'province', to_jsonb(province), ordered_at
        FROM staged_lines
        WHERE import_id = :import_id AND ordered_at IS NOT NULL AND user_id IS NOT NULL AND province IS NOT NULL
        ORDER BY user_id, ordered_at DESC, file_line DESC
    )
    UNION ALL
    (
        SELECT DISTINCT ON (user_id) user_id, 'country', to_jsonb(country), ordered_at
        FROM staged_lines
        WHERE import_id = :import_id AND ordered_at IS NOT NULL AND user_id IS NOT NULL AND country IS NOT NULL
        ORDER BY user_id, ordered_at DESC, file_line DESC
    )
    UNION ALL
    SELECT user_id, NULL, NULL, max(ordered_at)
    FROM staged_lines
    WHERE import_id = :import_id AND ordered_at IS NOT NULL AND user_id IS NOT NULL
    GROUP BY user_id
) AS updates
WHERE id > :after
ORDER BY id;

-- add_orders --
-- Insert the orders that are new, and return their keys.
INSERT INTO orders (
    tenant, kind, order_id, unified_customer_id, customer_name, city, province, country, currency,
    ordered_at, line_count, content, source, import_id
)
SELECT :tenant, kind, order_id, user_id, customer_name, city, province, country, currency,
    ordered_at, line_count, content, :source, :import_id
FROM unnest(
    :kinds::text[], :order_ids::text[], :user_ids::text[], :customer_names::text[], :cities::text[],
    :provinces::text[], :countries::text[], :currencies::text[], :ordered_ats::timestamptz[],
    :line_counts::int[], :contents::bytea[]
) AS o (
    kind, order_id, user_id, customer_name, city, province, country, currency, ordered_at, line_count,
    content
)
ON CONFLICT (tenant, kind, order_id) DO NOTHING
RETURNING kind, order_id;

-- stored_orders --
-- Return the content hashes of stored orders, their imports, and whether a source follows them.
SELECT o.kind, o.order_id, o.content, o.import_id, o.source_id IS NOT NULL AS is_followed
FROM orders o
JOIN unnest(:kinds::text[], :order_ids::text[]) AS k (kind, order_id)
    ON o.kind = k.kind AND o.order_id = k.order_id
WHERE o.tenant = :tenant;

-- remains_of_lines --
-- Return what remains of the lines of orders that have a cancellation of the same id, and that no source follows.
SELECT order_id, product_id, n, sum(quantity)::float8 AS quantity,
       max(ordered_at) FILTER (WHERE kind = 'order') AS placed_at
FROM order_items
WHERE tenant = :tenant
  AND order_id IN (
      SELECT cancellations.order_id FROM orders AS cancellations
      WHERE cancellations.tenant = :tenant AND cancellations.kind = 'cancellation'
        AND cancellations.order_id = ANY(:order_ids::text[])
  )
  AND NOT EXISTS (
      SELECT FROM orders AS followed
      WHERE followed.tenant = :tenant AND followed.kind = 'order' AND followed.order_id = order_items.order_id
        AND followed.source_id IS NOT NULL
  )
GROUP BY order_id, product_id, n;

-- order_by_id --
-- Return an order, and the cancellation with the same id.
SELECT kind, order_id, unified_customer_id, customer_name, city, province, country, currency,
    ordered_at, line_count, source, import_id, revision, status, changed_at
FROM orders
WHERE tenant = :tenant AND order_id = :order_id
ORDER BY kind DESC;

-- order_lines --
-- Return the lines of an order, and of the cancellation with the same id.
SELECT kind, product_id, n, product_name, category, price, quantity, currency, ordered_at, remaining
FROM order_items
WHERE tenant = :tenant AND order_id = :order_id
ORDER BY kind DESC, file_line, product_id, n;

-- lock_catalogue --
-- Serialize merges of a tenant's items and users, so that their events are in order.
SELECT pg_advisory_xact_lock(hashtextextended('sync.catalogue:' || :tenant, 0));

-- catalogue_count --
-- Return the number of items or users of a tenant.
SELECT rows FROM catalogue_counts WHERE tenant = :tenant AND kind = :kind;

-- delete_item --
-- Delete an item; return its id if it existed.
DELETE FROM items WHERE tenant = :tenant AND item_id = :item_id RETURNING item_id;

-- items --
-- Return the states of items.
SELECT item_id AS id, name, category, price, currency, available, created_at, attributes, times, record,
    updated_at
FROM items WHERE tenant = :tenant AND item_id = ANY(:ids::text[]);

-- save_items --
-- Write states of items. `updated_at` changes only with the state, not when it was confirmed.
INSERT INTO items (
    tenant, item_id, name, category, price, currency, available, created_at, attributes, times, record
)
SELECT :tenant, id, name, category, price, currency, coalesce(available, true), created_at,
    attributes, times, record
FROM unnest(
    :ids::text[], :names::text[], :categories::text[], :prices::float8[], :currencies::text[],
    :availables::bool[], :created_ats::timestamptz[], :attributes::jsonb[], :times::jsonb[], :records::jsonb[]
) AS i (id, name, category, price, currency, available, created_at, attributes, times, record)
ON CONFLICT (tenant, item_id) DO UPDATE
SET name = excluded.name, category = excluded.category, price = excluded.price,
    currency = excluded.currency, available = excluded.available, created_at = excluded.created_at,
    attributes = excluded.attributes, times = excluded.times, record = excluded.record,
    updated_at = CASE WHEN excluded.item_id = ANY(:changed_ids::text[]) THEN now() ELSE items.updated_at END;

-- users --
-- Return the states of users.
SELECT user_id AS id, name, city, province, country, attributes, times, record, updated_at
FROM users WHERE tenant = :tenant AND user_id = ANY(:ids::text[]);

-- save_users --
-- Write states of users. `updated_at` changes only with the state, not when it was confirmed.
INSERT INTO users (tenant, user_id, name, city, province, country, attributes, times, record)
SELECT :tenant, id, name, city, province, country, attributes, times, record
FROM unnest(
    :ids::text[], :names::text[], :cities::text[], :provinces::text[], :countries::text[],
    :attributes::jsonb[], :times::jsonb[], :records::jsonb[]
) AS u (id, name, city, province, country, attributes, times, record)
ON CONFLICT (tenant, user_id) DO UPDATE
SET name = excluded.name, city = excluded.city, province = excluded.province,
    country = excluded.country, attributes = excluded.attributes, times = excluded.times,
    record = excluded.record,
    updated_at = CASE WHEN excluded.user_id = ANY(:changed_ids::text[]) THEN now() ELSE users.updated_at END;

-- new_interactions --
-- Insert the ids of imported interactions; return those that are new.
INSERT INTO imported_interactions (tenant, event_id)
SELECT :tenant, unnest(:event_ids::text[])
ON CONFLICT DO NOTHING
RETURNING event_id;

-- newest_outbox_row --
-- Return the newest row of the outbox.
SELECT max(seq) FROM outbox;

-- add_privacy_request --
-- Store a request to erase a user, or without one all users of a source's orders; return nothing for a repeated
-- one, and if there is nobody.
INSERT INTO privacy_requests (tenant, request_id, source, user_ids, received_at)
SELECT :tenant, :request_id, :source, array_agg(DISTINCT user_id), :received_at
FROM (
    SELECT :user_id::text AS user_id
    UNION ALL
    SELECT unified_customer_id FROM orders
    WHERE :user_id::text IS NULL AND tenant = :tenant AND source_id = :source
) AS users
WHERE user_id IS NOT NULL
HAVING count(*) > 0
ON CONFLICT DO NOTHING
RETURNING request_id;

-- add_erased_user --
-- Mark a user as erased; return the row counts of earlier attempts.
INSERT INTO erased_users (tenant, user_id, erasure_id, erased_at)
VALUES (:tenant, :user_id, :erasure_id, :erased_at)
ON CONFLICT (tenant, user_id) DO UPDATE
SET erasure_id = excluded.erasure_id, erased_at = greatest(erased_users.erased_at, excluded.erased_at),
    rows = CASE WHEN erased_users.erasure_id = excluded.erasure_id THEN erased_users.rows ELSE '{}' END
RETURNING rows;

-- save_erased_rows --
-- Store how many rows of a user were erased.
UPDATE erased_users SET rows = :rows WHERE tenant = :tenant AND user_id = :user_id;

-- erased_users --
-- Return which of the users were erased, and when.
SELECT user_id, erased_at FROM erased_users WHERE tenant = :tenant AND user_id = ANY(:ids::text[]);

-- delete_user --
-- Delete the state of a user; return the number of rows.
WITH deleted AS (DELETE FROM users WHERE tenant = :tenant AND user_id = :user_id RETURNING user_id)
SELECT count(*) FROM deleted;

-- anonymize_orders --
-- Remove a user from orders, which remain for statistics and to detect duplicates; return the number of rows.
WITH changed AS (
    UPDATE orders SET unified_customer_id = NULL, customer_name = NULL, city = NULL
    WHERE tenant = :tenant AND unified_customer_id = :user_id
    RETURNING order_id
)
SELECT count(*) FROM changed;

-- anonymize_order_items --
-- Remove a user from order lines; return the number of rows.
WITH changed AS (
    UPDATE order_items SET unified_customer_id = NULL, customer_name = NULL, city = NULL
    WHERE tenant = :tenant AND unified_customer_id = :user_id
    RETURNING order_id
)
SELECT count(*) FROM changed;

-- anonymize_staged_lines --
-- Remove a user from the staged lines of running imports; return the number of rows.
WITH changed AS (
    UPDATE staged_lines SET user_id = NULL, customer_name = NULL, city = NULL, raw = ''
    FROM imports
    WHERE imports.id = staged_lines.import_id AND imports.tenant = :tenant AND staged_lines.user_id = :user_id
    RETURNING staged_lines.order_id
)
SELECT count(*) FROM changed;

-- delete_rejects_of_user --
-- Delete rejected rows that contain the id of a user; return the number of rows.
WITH deleted AS (
    DELETE FROM import_rejects
    USING imports
    WHERE imports.id = import_rejects.import_id AND imports.tenant = :tenant
      AND position(:user_id IN import_rejects.raw) > 0
    RETURNING import_rejects.line
)
SELECT count(*) FROM deleted;

-- save_quotas --
-- Store the quotas of items and users, for the services that accept them.
INSERT INTO catalogue_quotas (kind, most) VALUES ('items', :items), ('users', :users)
ON CONFLICT (kind) DO UPDATE SET most = excluded.most WHERE catalogue_quotas.most <> excluded.most;

-- list_items --
-- Return a page of the items that match; a category is compared without case, each of `tea|green` alone.
SELECT item_id, name, category, price, currency, available, created_at, attributes, updated_at
FROM items
WHERE tenant = :tenant
    AND (:item_ids::text[] IS NULL OR item_id = ANY(:item_ids))
    AND (:available::bool IS NULL OR available = :available)
    AND (:category::text IS NULL OR lower(:category) = ANY(string_to_array(lower(category), '|')))
    AND (
        :words::text IS NULL
        OR to_tsvector('simple', coalesce(name, '') || ' ' || coalesce(category, ''))
            @@ to_tsquery('simple', :words)
    )
ORDER BY
    CASE WHEN :sort::text = 'price' THEN price WHEN :sort = '-price' THEN -price END NULLS LAST,
    CASE WHEN :sort = 'newest' THEN created_at END DESC NULLS LAST,
    CASE WHEN :sort = 'name' THEN name END NULLS LAST,
    item_id
LIMIT :limit OFFSET :offset;

-- count_items --
-- Return the number of items that match, at most `most`.
SELECT count(*) FROM (
    SELECT FROM items
    WHERE tenant = :tenant
        AND (:item_ids::text[] IS NULL OR item_id = ANY(:item_ids))
        AND (:available::bool IS NULL OR available = :available)
        AND (:category::text IS NULL OR lower(:category) = ANY(string_to_array(lower(category), '|')))
        AND (
            :words::text IS NULL
            OR to_tsvector('simple', coalesce(name, '') || ' ' || coalesce(category, ''))
                @@ to_tsquery('simple', :words)
        )
    LIMIT :most
) AS matching;

-- list_categories --
-- Return the categories of available items with their numbers of items, the largest first.
SELECT single.name, count(*) AS items
FROM items, unnest(string_to_array(category, '|')) AS single (name)
WHERE tenant = :tenant AND available AND single.name <> ''
GROUP BY single.name
ORDER BY 2 DESC, 1
LIMIT :limit;

-- list_users --
-- Return users whose ids follow `after`, sorted by id.
SELECT user_id, name, city, province, country, attributes, updated_at
FROM users
WHERE tenant = :tenant AND user_id > :after
ORDER BY user_id
LIMIT :limit;

-- orders_of_user --
-- Return the newest orders and cancellations of a user.
SELECT kind, order_id, unified_customer_id, customer_name, city, province, country, currency,
    ordered_at, line_count, source, import_id, revision, status, changed_at
FROM orders
WHERE tenant = :tenant AND unified_customer_id = :user_id
ORDER BY ordered_at DESC, order_id DESC, kind DESC
LIMIT :limit;

-- lines_of_orders --
-- Return the lines of orders, and of the cancellations with the same ids.
SELECT kind, order_id, product_id, n, product_name, category, price, quantity, currency, ordered_at, remaining
FROM order_items
WHERE tenant = :tenant AND order_id = ANY(:order_ids::text[])
ORDER BY order_id, kind DESC, file_line, product_id, n;

-- add_source --
-- Add a source, unless the tenant has one of this name.
INSERT INTO sources (id, tenant, name, kind, enabled, config, secrets_encrypted, secret_names)
VALUES (:id, :tenant, :name, :kind, :enabled, :config, :secrets, :secret_names)
ON CONFLICT (tenant, name) DO NOTHING
RETURNING created_at, pg_notify(current_schema(), 'sources');

-- change_source --
-- Change a source of a tenant; secrets stay as they are unless new ones are passed. With another configuration the next
-- run reads everything again.
WITH before AS (
    SELECT id, config IS DISTINCT FROM :config AS is_other FROM sources WHERE tenant = :tenant AND name = :name
    FOR UPDATE
), forgotten AS (
    DELETE FROM pulled_objects USING before WHERE source_id = before.id AND before.is_other
)
UPDATE sources
SET kind = :kind, enabled = :enabled, config = :config, updated_at = now(),
    full_wanted = full_wanted OR before.is_other,
    next_pull_at = CASE WHEN before.is_other THEN now() ELSE next_pull_at END,
    secrets_encrypted = CASE WHEN :keep_secrets THEN secrets_encrypted ELSE :secrets END,
    secret_names = CASE WHEN :keep_secrets THEN secret_names ELSE :secret_names END
FROM before
WHERE sources.id = before.id
RETURNING sources.id;

-- delete_source --
-- Delete a source with its deliveries, and what it said last; what it brought stays.
WITH gone AS (
    DELETE FROM sources WHERE tenant = :tenant AND name = :name RETURNING id
), emptied AS (
    DELETE FROM inbox USING gone WHERE inbox.source_id = gone.id
), forgotten AS (
    DELETE FROM pulled_objects USING gone WHERE pulled_objects.source_id = gone.id
)
SELECT id FROM gone;

-- source_by_id --
-- Return a source by the id in the address of its webhooks.
SELECT * FROM sources WHERE id = :id;

-- sources_of_tenant --
-- Return the sources of a tenant by name, with the numbers of their deliveries by state.
SELECT s.*,
    coalesce(d.waiting, 0) AS waiting, coalesce(d.failed, 0) AS failed, d.newest_at
FROM sources s
LEFT JOIN (
    SELECT source_id, count(*) FILTER (WHERE status = 'waiting') AS waiting,
        count(*) FILTER (WHERE status = 'failed') AS failed, max(received_at) AS newest_at
    FROM inbox
    WHERE tenant = :tenant
    GROUP BY source_id
) AS d ON d.source_id = s.id
WHERE s.tenant = :tenant AND (:name::text IS NULL OR s.name = :name)
ORDER BY s.name
LIMIT 1000;

-- count_sources --
-- Return the number of sources of a tenant.
SELECT count(*) FROM sources WHERE tenant = :tenant;

-- add_delivery --
-- Store a delivery, unless the source has sent it before, and notify the workers when it is committed.
WITH added AS (
    INSERT INTO inbox (source_id, tenant, topic, delivery, body)
    VALUES (:source_id, :tenant, :topic, :delivery, :body)
    ON CONFLICT (source_id, topic, delivery) DO NOTHING
    RETURNING seq
)
SELECT seq, pg_notify(current_schema(), 'inbox') FROM added;

-- waiting_tenants --
-- Return the tenants with waiting deliveries, the longest wait first.
SELECT tenant FROM inbox WHERE status = 'waiting' GROUP BY tenant ORDER BY min(seq) LIMIT 100;

-- lease_inbox --
-- Take the inbox of a tenant until the transaction ends; false while another worker has it.
SELECT pg_try_advisory_xact_lock(hashtextextended('sync.inbox:' || :tenant, 0)),
    set_config('idle_in_transaction_session_timeout', '60s', true);

-- next_deliveries --
-- Return the oldest waiting deliveries of a tenant with their sources, in the order of their arrival.
SELECT i.seq, i.source_id, i.topic, i.body, i.received_at, s.name, s.kind, s.config
FROM inbox i
JOIN sources s ON s.id = i.source_id
WHERE i.tenant = :tenant AND i.status = 'waiting'
ORDER BY i.seq
LIMIT :limit;

-- settle_deliveries --
-- Set the outcomes of deliveries.
UPDATE inbox SET status = o.status, reason = o.reason, settled_at = now()
FROM unnest(:seqs::bigint[], :statuses::text[], :reasons::text[]) AS o (seq, status, reason)
WHERE inbox.seq = o.seq;

-- deliveries --
-- Return the newest deliveries of a source before `before`, without their bodies.
SELECT seq, topic, delivery, status, reason, received_at, settled_at, octet_length(body) AS bytes
FROM inbox
WHERE source_id = :source_id AND (:status::text IS NULL OR status = :status)
    AND (:before::bigint IS NULL OR seq < :before)
ORDER BY seq DESC
LIMIT :limit;

-- delivery --
-- Return a delivery of a source with its body.
SELECT seq, topic, delivery, status, reason, received_at, settled_at, octet_length(body) AS bytes, body
FROM inbox WHERE source_id = :source_id AND seq = :seq;

-- replay_delivery --
-- Let a delivery that failed or was ignored wait again, with another body if one is passed.
UPDATE inbox
SET status = 'waiting', reason = NULL, settled_at = NULL, body = coalesce(:body, body)
WHERE source_id = :source_id AND seq = :seq AND status IN ('failed', 'ignored')
RETURNING seq, pg_notify(current_schema(), 'inbox');

-- delete_old_deliveries --
-- Delete some deliveries that were settled long ago, or whose source is gone.
WITH gone AS (
    DELETE FROM inbox WHERE seq IN (
        SELECT seq FROM inbox
        WHERE (
            status <> 'waiting'
            AND settled_at < now() - make_interval(
                secs => 86400 * CASE WHEN status = 'failed' THEN :failed_days::float8 ELSE :days::float8 END
            )
        ) OR NOT EXISTS (SELECT FROM sources WHERE sources.id = inbox.source_id)
        ORDER BY settled_at
        LIMIT 5000
    )
    RETURNING seq
)
SELECT count(*) FROM gone;

-- deliveries_with_text --
-- Return the settled deliveries of a tenant whose bodies contain a text, after `after`.
SELECT seq, body FROM inbox
WHERE tenant = :tenant AND status <> 'waiting' AND position(:text::bytea IN body) > 0 AND seq > :after
ORDER BY seq
LIMIT 200;

-- delete_deliveries --
-- Delete deliveries; return how many.
WITH gone AS (DELETE FROM inbox WHERE seq = ANY(:seqs::bigint[]) RETURNING seq) SELECT count(*) FROM gone;

-- followed_order --
-- Return an order, not a cancellation of a file, and lock it.
SELECT order_id, ordered_at, revision, changed_at, status, bought, unified_customer_id AS user_id, customer_name,
    city, province, country, currency
FROM orders
WHERE tenant = :tenant AND kind = 'order' AND order_id = :order_id
FOR UPDATE;

-- followed_lines --
-- Return the lines of an order in their order.
SELECT product_id, n, line_key AS key, product_name AS name, category, quantity, price,
    coalesce(remaining, quantity) AS remaining
FROM order_items
WHERE tenant = :tenant AND kind = 'order' AND order_id = :order_id
ORDER BY file_line, product_id, n;

-- add_returns --
-- Store returned quantities of an order; a newer version replaces the totals of its lines.
INSERT INTO order_returns AS known (tenant, order_id, return_id, line, quantity)
SELECT :tenant, :order_id, return_id, line, sum(quantity)
FROM unnest(:return_ids::text[], :lines::text[], :quantities::float8[]) AS r (return_id, line, quantity)
GROUP BY return_id, line
ON CONFLICT (tenant, order_id, return_id, line) DO UPDATE SET quantity = excluded.quantity
WHERE :replace AND known.quantity <> excluded.quantity;

-- returns_of_order --
-- Return how much of each line of an order was returned.
SELECT line, sum(quantity) AS quantity
FROM order_returns
WHERE tenant = :tenant AND order_id = :order_id
GROUP BY line;

-- save_followed_order --
-- Write the newest version of an order.
INSERT INTO orders (
    tenant, kind, order_id, unified_customer_id, customer_name, city, province, country, currency, ordered_at,
    line_count, content, source, source_id, revision, status, bought, changed_at
)
VALUES (
    :tenant, 'order', :order_id, :user_id, :customer_name, :city, :province, :country, :currency, :ordered_at,
    :line_count, :content, :source, :source_id, :revision, :status, :bought, :changed_at
)
ON CONFLICT (tenant, kind, order_id) DO UPDATE
SET unified_customer_id = excluded.unified_customer_id, customer_name = excluded.customer_name,
    city = excluded.city, province = excluded.province, country = excluded.country,
    currency = excluded.currency, line_count = excluded.line_count, content = excluded.content,
    source = excluded.source, source_id = excluded.source_id, revision = excluded.revision,
    status = excluded.status, bought = excluded.bought, changed_at = excluded.changed_at;

-- save_followed_lines --
-- Write the lines of an order; a line is never deleted.
INSERT INTO order_items (
    tenant, kind, order_id, product_id, n, unified_customer_id, customer_name, province, city, country,
    product_name, category, price, quantity, currency, ordered_at, file_line, line_key, remaining
)
SELECT :tenant, 'order', :order_id, product_id, n, :user_id, :customer_name, :province, :city, :country,
    name, category, price, quantity, :currency, :ordered_at, place, key, remaining
FROM unnest(
    :product_ids::text[], :ns::int[], :names::text[], :categories::text[], :prices::float8[],
    :quantities::float8[], :keys::text[], :remainings::float8[]
) WITH ORDINALITY AS l (product_id, n, name, category, price, quantity, key, remaining, place)
ON CONFLICT (tenant, order_id, kind, product_id, n) DO UPDATE
SET unified_customer_id = excluded.unified_customer_id, customer_name = excluded.customer_name,
    province = excluded.province, city = excluded.city, country = excluded.country,
    product_name = excluded.product_name, category = excluded.category, price = excluded.price,
    quantity = excluded.quantity, currency = excluded.currency, line_key = excluded.line_key,
    remaining = excluded.remaining;

-- save_order_time --
-- Move the time of an order's newest version, which changed nothing else.
UPDATE orders SET changed_at = :changed_at
WHERE tenant = :tenant AND kind = 'order' AND order_id = :order_id;

-- add_order_version --
-- Keep a version of an order.
INSERT INTO order_versions (tenant, order_id, revision, source, status, changed_at, lines)
VALUES (:tenant, :order_id, :revision, :source, :status, :changed_at, :lines)
ON CONFLICT DO NOTHING;

-- order_versions --
-- Return the versions of an order, the oldest first.
SELECT revision, source, status, changed_at, stored_at, lines
FROM order_versions
WHERE tenant = :tenant AND order_id = :order_id
ORDER BY revision;

-- inbox_backlog --
-- Return how many deliveries wait, and the age of the oldest one in seconds.
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8 AS age
FROM inbox WHERE status = 'waiting';

-- due_pulls --
-- Return the sources whose next run is due and that do not run, and plan the run after it.
UPDATE sources AS s
SET pulls = pulls + 1,
    next_pull_at = now() + make_interval(secs => 3600 * (s.config ->> 'every_hours')::float8)
WHERE s.enabled AND s.kind <> 'webhook' AND s.next_pull_at <= now()
    AND NOT EXISTS (
        SELECT FROM jobs j
        WHERE j.kind = 'pull' AND j.key LIKE s.id || ':%' AND j.status IN ('queued', 'running')
    )
RETURNING s.id, s.tenant, s.pulls,
    s.full_wanted OR s.full_at IS NULL
        OR s.full_at < now() - make_interval(secs => 86400 * (s.config ->> 'full_every_days')::float8) AS is_full;

-- delete_old_runs --
-- Delete the jobs of runs that ended a week ago.
DELETE FROM jobs WHERE kind = 'pull' AND status IN ('done', 'failed') AND finished_at < now() - interval '7 days';

-- want_pull --
-- Let the next run of sources begin now; `full` lets it read everything.
UPDATE sources SET next_pull_at = now(), full_wanted = full_wanted OR :full
WHERE kind <> 'webhook' AND (:tenant::text IS NULL OR tenant = :tenant)
    AND (:name::text IS NULL OR name = :name)
RETURNING tenant, name, pulls, pg_notify(current_schema(), 'sources');

-- add_pulled --
-- Store the objects of a page that differ from what the source said of them before; return how many.
WITH page AS (
    SELECT DISTINCT ON (object_id) object_id, hash, body
    FROM unnest(:object_ids::text[], :hashes::bytea[], :bodies::bytea[]) WITH ORDINALITY
        AS o (object_id, hash, body, place)
    ORDER BY object_id, place DESC
), changed AS (
    INSERT INTO pulled_objects AS known (source_id, topic, object_id, hash)
    SELECT :source_id, :topic, object_id, hash FROM page
    ON CONFLICT (source_id, topic, object_id) DO UPDATE SET hash = excluded.hash
    WHERE known.hash <> excluded.hash
    RETURNING object_id
), added AS (
    INSERT INTO inbox (source_id, tenant, topic, delivery, body)
    SELECT :source_id, :tenant, :topic, gen_random_uuid()::text, body
    FROM page JOIN changed USING (object_id)
    ORDER BY object_id
    RETURNING seq
)
SELECT count(*) AS changed, pg_notify(current_schema(), 'inbox') FROM added;

-- end_pull --
-- Record the end of a run that has read all.
UPDATE sources
SET pulled_at = now(), read_until = :read_until, pulled_objects = :objects, pull_warnings = :warnings,
    pull_error = NULL, full_wanted = full_wanted AND NOT :full,
    full_at = CASE WHEN :full THEN now() ELSE full_at END
WHERE id = :id;

-- fail_pull --
-- Record why a run failed.
UPDATE sources SET pulled_at = now(), pull_error = :error WHERE id = :id;

-- knows_pulled --
-- Return whether a version of an object was remembered.
SELECT EXISTS (
    SELECT FROM pulled_objects
    WHERE source_id = :source_id AND topic = :topic AND object_id = :object_id AND hash = :hash
);

-- remember_pulled --
-- Remember a version of an object in place of the one before.
INSERT INTO pulled_objects (source_id, topic, object_id, hash) VALUES (:source_id, :topic, :object_id, :hash)
ON CONFLICT (source_id, topic, object_id) DO UPDATE SET hash = excluded.hash;

-- want_bucket --
-- Let the sources of a bucket look for files now.
UPDATE sources SET next_pull_at = now()
WHERE enabled AND kind = 'bucket' AND config ->> 'bucket' = :bucket
RETURNING id, pg_notify(current_schema(), 'sources');

-- bucket_granted --
-- Return whether an operator allows a tenant to read a folder of a bucket.
SELECT EXISTS (
    SELECT FROM engine.bucket_grants_v1 AS granted
    WHERE granted.tenant = :tenant AND granted.bucket IN ('*', :bucket)
        AND starts_with(:prefix, granted.prefix)
);
