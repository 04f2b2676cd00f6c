"""A user is erased from the shop: the state goes, orders stay without the person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.sync.store import Erasures
from shared.events import UserPut
from tests.integration.sync.inbox import SourceOfShop
from tests.integration.sync.orders import HEADER
from tests.integration.sync.shop import TENANT, Shop
from tests.support.erasures import erasure
from tests.unit.sync.webhook_bodies import shopify_order

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


async def test_files_from_before_an_erasure_bring_nobody_back(shop: Shop) -> None:
    """A file may wait, or be sent again; its orders stay, as guests' orders."""
    sent_at = NOW - timedelta(hours=1)
    orders = (
        HEADER
        + "1,u1,Ada,2026-03-01T10:00:00Z,a,Cup,2,5,EUR,Austria,\n"
        + f"2,u1,Ada,{NOW + timedelta(minutes=4):%Y-%m-%dT%H:%M:%SZ},a,Cup,2,5,EUR,Austria,\n"
        + "3,u2,Bob,2026-03-01T10:00:00Z,a,Cup,2,5,EUR,Austria,\n"
    )
    waiting = [
        await shop.post("orders", orders, said_at=sent_at),
        await shop.post("users", "user_id,city\nu1,Ulm\nu2,Rom\n", said_at=sent_at),
    ]
    await Erasures(shop.pool).erase(erasure("u1", tenant=TENANT))

    imports = [await shop.run(identity) for identity in waiting]

    assert [(each.status, each.rows_rejected) for each in imports] == [("done", 0), ("done", 0)]
    assert (imports[1].rows_accepted, imports[1].rows_duplicate) == (1, 1)
    assert [row["user_id"] for row in await shop.rows("SELECT user_id FROM users")] == ["u2"]
    people = await shop.rows("SELECT unified_customer_id AS id, customer_name FROM orders ORDER BY order_id")
    assert [tuple(row.values()) for row in people] == [(None, None), (None, None), ("u2", "Bob")]
    lines = await shop.rows("SELECT unified_customer_id AS id, city FROM order_items WHERE order_id <> '3'")
    assert [tuple(row.values()) for row in lines] == [(None, None)] * 2
    events = await shop.published("orders-v1")
    assert {event.get("user_id") for event in events} == {None, "u2"}
    assert "Ada" not in repr(events)

    await shop.load("users", "user_id,city\nu1,Ulm\n")
    assert len(await shop.rows("SELECT FROM users")) == 2


async def test_no_order_is_dated_after_it_was_received(shop: Shop) -> None:
    """Erasures compare the time of an order, of which other services know no other."""
    ahead = datetime.now(UTC) + timedelta(hours=8)
    await shop.load("orders", HEADER + f"1,u1,Ada,{ahead:%Y-%m-%dT%H:%M:%SZ},a,Cup,2,5,EUR,Austria,\n")
    source = await SourceOfShop.add(shop, {"format": "shopify"})
    await source.merge(("orders/create", shopify_order(created_at=ahead.isoformat())))

    events = await shop.published("orders-v1")
    times = [datetime.fromisoformat(event["occurred_at"]) for event in events]
    assert len(times) == 2
    assert max(times) < ahead - timedelta(hours=7)
    rows = await shop.rows("SELECT ordered_at FROM orders UNION ALL SELECT ordered_at FROM order_items")
    assert max(row["ordered_at"] for row in rows) < ahead - timedelta(hours=7)


async def test_an_update_that_waited_during_an_erasure_brings_nobody_back(shop: Shop) -> None:
    """The source's clock may be ahead: the update is dated after the erasure, and was received before it."""
    source = await SourceOfShop.add(shop, {"format": "shopify"})
    updated_at = datetime.now(UTC) + timedelta(minutes=4)
    customer = {"id": 5, "first_name": "Ada", "updated_at": updated_at.isoformat()}
    await source.send("customers/update", customer)
    await Erasures(shop.pool).erase(erasure("5", tenant=TENANT))

    assert await source.merge() == ["applied"]
    assert await shop.rows("SELECT FROM users") == []
    await source.merge(("customers/update", customer | {"first_name": "Eve"}))
    assert len(await shop.rows("SELECT FROM users")) == 1
