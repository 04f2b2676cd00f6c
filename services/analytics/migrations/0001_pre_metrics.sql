-- What recommendations showed and what followed: single facts for a month, and figures by hour and day.
-- See docs/decisions/0039-metrics.md.

-- Where and by what answers were made. A series without a strategy has the figures of all strategies together.
CREATE TABLE series (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    surface text NOT NULL,
    placement text,
    strategy text,
    experiment text,
    experiment_version bigint,
    variant text,
    UNIQUE NULLS NOT DISTINCT (tenant, surface, placement, strategy, experiment, experiment_version, variant)
);

-- Answers, without their users. `seen`, `clicked` and `converted` have a bit per item, the first item's lowest.
CREATE TABLE servings (
    tenant text NOT NULL,
    recommendation_id text NOT NULL,
    served_at timestamptz NOT NULL,
    series_id integer NOT NULL,
    item_ids text[] NOT NULL,
    item_series integer[] NOT NULL,
    is_fallback boolean NOT NULL,
    source text NOT NULL,
    seen bytea NOT NULL DEFAULT '',
    clicked bytea NOT NULL DEFAULT '',
    converted bytea NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, recommendation_id)
);
CREATE INDEX servings_by_time ON servings USING brin (served_at);

-- Items seen or clicked in answers that are not known yet.
CREATE TABLE early_marks (
    tenant text NOT NULL,
    recommendation_id text NOT NULL,
    item_id text NOT NULL,
    clicked boolean NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, recommendation_id, item_id)
);
CREATE INDEX early_marks_by_time ON early_marks (noted_at);

-- Events that name an answer and one of its items. `position` is the item's in the answer, from 0, once it is known.
-- `is_purchase`: the touch is a purchase that names an answer itself.
CREATE TABLE touches (
    tenant text NOT NULL,
    event_id text NOT NULL,
    is_purchase boolean NOT NULL,
    recommendation_id text NOT NULL,
    item_id text NOT NULL,
    user_id text,
    session_id text,
    occurred_at timestamptz NOT NULL,
    position integer,
    PRIMARY KEY (tenant, event_id, is_purchase)
);
CREATE INDEX touches_by_answer ON touches (tenant, recommendation_id);
CREATE INDEX touches_by_user ON touches (tenant, user_id, item_id) WHERE user_id IS NOT NULL;
CREATE INDEX touches_by_session ON touches (tenant, session_id, item_id) WHERE user_id IS NULL;
CREATE INDEX touches_by_time ON touches (occurred_at);

-- Users who logged in to sessions.
CREATE TABLE logins (
    tenant text NOT NULL,
    session_id text NOT NULL,
    user_id text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, session_id, user_id)
);
CREATE INDEX logins_by_user ON logins (tenant, user_id);
CREATE INDEX logins_by_time ON logins (seen_at);

-- Purchased lines. `claim` is the event of a page or a server, `line` that of the shop's order; the other columns
-- follow from both. Those of erased users have neither.
CREATE TABLE purchases (
    tenant text NOT NULL,
    event_id text NOT NULL,
    claim jsonb,
    line jsonb,
    user_id text,
    session_id text,
    item_id text NOT NULL,
    order_key uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    units numeric NOT NULL,
    revenue numeric NOT NULL,
    recommendation_id text,
    attributed_to text,
    attributed_position integer,
    attributed_series integer,
    attributed_item_series integer,
    PRIMARY KEY (tenant, event_id)
);
CREATE INDEX purchases_by_user ON purchases (tenant, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX purchases_by_session ON purchases (tenant, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX purchases_by_order ON purchases (tenant, order_key);
CREATE INDEX purchases_by_answer ON purchases (tenant, attributed_to) WHERE attributed_to IS NOT NULL;
CREATE INDEX purchases_by_time ON purchases (occurred_at);

-- The hour under which each order is counted: that of its first line.
CREATE TABLE orders (
    tenant text NOT NULL,
    order_key uuid NOT NULL,
    hour timestamptz NOT NULL,
    PRIMARY KEY (tenant, order_key)
);
CREATE INDEX orders_by_time ON orders (hour);

-- A digest of each event's id, so that an event counts once.
CREATE TABLE counted_events (
    tenant text NOT NULL,
    key uuid NOT NULL,
    name text NOT NULL,
    hour timestamptz NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX counted_events_by_time ON counted_events USING brin (hour);

-- Digests of the users, or sessions before login, that were active or got an answer on a day.
CREATE TABLE visitors (
    tenant text NOT NULL,
    day timestamptz NOT NULL,
    visitor uuid NOT NULL,
    is_active boolean NOT NULL,
    is_answered boolean NOT NULL,
    PRIMARY KEY (tenant, day, visitor)
);
CREATE TABLE answered_items (
    tenant text NOT NULL,
    day timestamptz NOT NULL,
    item_id text NOT NULL,
    PRIMARY KEY (tenant, day, item_id)
);

-- Figures of series. `grain` is hour or day. Purchases, units and revenue are counted at the time of the purchase,
-- all other figures at that of the answer.
CREATE TABLE figures (
    tenant text NOT NULL,
    grain text NOT NULL CHECK (grain IN ('hour', 'day')),
    begins_at timestamptz NOT NULL,
    series_id integer NOT NULL,
    answers bigint NOT NULL,
    empty_answers bigint NOT NULL,
    fallback_answers bigint NOT NULL,
    items bigint NOT NULL,
    seen_answers bigint NOT NULL,
    impressions bigint NOT NULL,
    clicked_answers bigint NOT NULL,
    clicks bigint NOT NULL,
    conversions bigint NOT NULL,
    purchases bigint NOT NULL,
    units numeric NOT NULL,
    revenue numeric NOT NULL,
    PRIMARY KEY (tenant, grain, begins_at, series_id)
);

-- Figures of the shop: events by type, answers by source, orders, purchases, units, revenue, visitors.
CREATE TABLE measures (
    tenant text NOT NULL,
    grain text NOT NULL CHECK (grain IN ('hour', 'day')),
    begins_at timestamptz NOT NULL,
    name text NOT NULL,
    value numeric NOT NULL,
    PRIMARY KEY (tenant, grain, begins_at, name)
);

-- The newest of each kind that was counted.
CREATE TABLE freshness (
    tenant text PRIMARY KEY,
    newest_event_at timestamptz,
    newest_purchase_at timestamptz,
    newest_answer_at timestamptz,
    newest_history_at timestamptz,
    generation bigint
);

-- Users and their sessions of whom nothing may be kept that happened before a time. `rows` is what the receipt says.
CREATE TABLE erased_subjects (
    tenant text NOT NULL,
    subject text NOT NULL,
    erasure_id text NOT NULL,
    erased_at timestamptz NOT NULL,
    rows jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, subject)
);

-- The users who are, or logged in to the session of, a person. `user_id` or `session_id` may be null.
CREATE FUNCTION users_of(of_tenant text, of_user text, of_session text) RETURNS text[] STABLE
LANGUAGE sql AS $$
    SELECT CASE WHEN of_user IS NOT NULL THEN ARRAY[of_user] ELSE ARRAY(
        SELECT user_id FROM analytics.logins WHERE tenant = of_tenant AND session_id = of_session
    ) END
$$;

-- The sessions of these users, and the session of a person who is not logged in.
CREATE FUNCTION sessions_of(of_tenant text, of_users text[], of_user text, of_session text) RETURNS text[] STABLE
LANGUAGE sql AS $$
    SELECT ARRAY(
        SELECT session_id FROM analytics.logins WHERE tenant = of_tenant AND user_id = ANY(of_users)
    ) || CASE WHEN of_user IS NULL AND of_session IS NOT NULL THEN ARRAY[of_session] ELSE '{}'::text[] END
$$;
