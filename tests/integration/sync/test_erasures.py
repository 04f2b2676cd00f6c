"""A user is erased from the shop: the state goes, orders stay without the person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.sync.store import Erasures
from shared.events import UserPut
from tests.integration.sync.shop import TENANT, Shop
from tests.support.erasures import erasure

NOW = datetime.now(UTC)


def put(user: str, at: datetime) -> UserPut:
    return UserPut(
        event_id=f"{user}-{at}", tenant=TENANT, occurred_at=at, user_id=user, fields={"city": "Ulm"}
    )


async def published(shop: Shop) -> list[tuple[str, str, Any]]:
    rows = await shop.pool.fetch("SELECT aggregatetype, aggregateid, type, payload FROM outbox ORDER BY seq")
    return [(row["aggregatetype"], row["aggregateid"], row["payload"]) for row in rows]


async def test_the_state_goes_and_orders_lose_their_customer(shop: Shop) -> None:
    store, handlers, erasures = shop.pool, shop.handlers, Erasures(shop.pool)
    await handlers.put([put("u1", NOW - timedelta(hours=1)), put("u2", NOW - timedelta(hours=1))])
    for order, customer in (("1", "u1"), ("2", "u2")):
        await store.execute(
            "INSERT INTO orders (tenant, kind, order_id, unified_customer_id, customer_name, city, "
            "ordered_at, line_count, content, source) "
            "VALUES ($3, 'order', $1, $2, 'Ann', 'Ulm', now(), 1, '', 'x')",
            order,
            customer,
            TENANT,
        )
        await store.execute(
            "INSERT INTO order_items (tenant, kind, order_id, product_id, n, unified_customer_id, "
            "customer_name, quantity, ordered_at) VALUES ($3, 'order', $1, 'p', 1, $2, 'Ann', 1, now())",
            order,
            customer,
            TENANT,
        )

    for _ in range(2):
        await erasures.erase(erasure("u1", tenant=TENANT))
    # What was on its way, and what is said afterwards.
    await handlers.put([put("u1", NOW - timedelta(minutes=1))])
    assert [row["user_id"] for row in await store.fetch("SELECT user_id FROM users")] == ["u2"]
    await handlers.put([put("u1", NOW + timedelta(hours=1))])

    assert {row["user_id"] for row in await store.fetch("SELECT user_id FROM users")} == {"u1", "u2"}
    people = await store.fetch("SELECT unified_customer_id, customer_name FROM orders ORDER BY order_id")
    assert [tuple(row) for row in people] == [(None, None), ("u2", "Ann")]
    lines = await store.fetch("SELECT unified_customer_id, customer_name FROM order_items ORDER BY order_id")
    assert [tuple(row) for row in lines] == [(None, None), ("u2", "Ann")]
    events = await published(shop)
    assert ("users-v1", f"{TENANT}:u1", None) in events
    receipts = [payload["rows"] for topic, _, payload in events if topic == "erasure-receipts-v1"]
    assert (
        receipts
        == [{"users": 1, "orders": 1, "order_items": 1, "staged_lines": 0, "import_rejects": 0, "inbox": 0}]
        * 2
    )


async def test_rejected_rows_that_name_the_user_go(shop: Shop) -> None:
    store = shop.pool
    await store.execute(
        "INSERT INTO imports (id, tenant, kind, filename, origin, bucket, object_key, size, said_at) "
        "VALUES ('i', $1, 'orders', 'f', 'request', 'b', 'k', 1, now())",
        TENANT,
    )
    for line, raw in enumerate(["1,u1,x", "2,u2,x"]):
        await store.execute(
            "INSERT INTO import_rejects (import_id, line, code, reason, raw) VALUES ('i', $1, 'c', 'r', $2)",
            line,
            raw,
        )

    await Erasures(store).erase(erasure("u1", tenant=TENANT))

    assert [row["raw"] for row in await store.fetch("SELECT raw FROM import_rejects")] == ["2,u2,x"]
