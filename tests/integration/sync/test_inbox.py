"""Deliveries in the inbox become orders, items and users: repeated, out of order, damaged, and killed."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from services.sync.store import Erasures, Inbox
from services.sync.worker import RecordMerge
from tests.integration.sync.inbox import SourceOfShop
from tests.integration.sync.shop import TENANT, Shop
from tests.support.erasures import erasure
from tests.unit.sync.webhook_bodies import (
    shopify_order,
    shopify_product,
    shopify_refund,
    woocommerce_order,
)

SHOPIFY = {"format": "shopify"}


def later(hours: int, **changes: Any) -> dict[str, Any]:
    """A version of the order, so many hours later."""
    at = datetime(2026, 11, 1, 14, tzinfo=UTC) + timedelta(hours=hours)
    return shopify_order(updated_at=at.isoformat(), **changes)


async def test_an_order_with_its_refund_and_its_product(shop: Shop) -> None:
    source = await SourceOfShop.add(shop, SHOPIFY)

    states = await source.merge(
        ("orders/create", shopify_order()),
        ("products/update", shopify_product(updated_at="2026-11-02T10:00:00-04:00")),
        ("refunds/create", shopify_refund()),
        ("orders/updated", later(20, refunds=[shopify_refund()], financial_status="partially_refunded")),
    )

    assert states == ["applied"] * 4
    assert await source.bought() == {"466157049": 1, "518995019": 1, "703073504": 0}
    placed, refunded = await shop.published("orders-v1")
    assert (placed["type"], len(placed["lines"])) == ("endcap.OrderPlaced.v1", 3)
    assert (refunded["type"], refunded["refunds"]) == ("endcap.OrderRefunded.v1", "450789469")
    assert [(line["n"], line["quantity"], line["remaining"]) for line in refunded["lines"]] == [(3, -1, 0)]
    (item,) = await shop.rows("SELECT name, category, price, available FROM items")
    assert item == {"name": "IPod Nano - 8gb", "category": "Cult Products", "price": 189, "available": True}
    (user,) = await shop.rows("SELECT user_id, name, city, country FROM users")
    assert user == {"user_id": "207119551", "name": "Bob Norman", "city": "Ottawa", "country": "Canada"}
    versions = await shop.orders.versions(TENANT, "450789469")
    assert [version["revision"] for version in versions] == [0, 1, 2]
    assert "Bob" not in repr(versions)


async def test_a_customer_and_a_whole_shop_ask_to_be_erased_once(shop: Shop) -> None:
    source = await SourceOfShop.add(shop, SHOPIFY)
    other = await SourceOfShop.add(shop, SHOPIFY, "other")
    await source.merge(("orders/create", shopify_order()))
    await source.send("customers/redact", {"customer": {"id": 5}}, delivery="d-redact")
    await source.send("customers/redact", {"customer": {"id": 5}}, delivery="d-redact")
    await source.send("shop/redact", {"shop_id": 1})
    await other.send("shop/redact", {"shop_id": 2})

    assert await source.merge() == ["applied"] * 4
    await shop.pool.execute("UPDATE inbox SET status = 'waiting'")  # as a replay does
    await source.merge()

    requests = await shop.rows("SELECT user_ids FROM privacy_requests ORDER BY received_at")
    assert [row["user_ids"] for row in requests] == [["5"], ["207119551"]]


async def test_any_order_of_arrival_and_any_repetition_ends_in_the_same_state(shop: Shop) -> None:
    deliveries = [
        ("orders/create", later(0)),
        ("orders/paid", later(1)),
        ("refunds/create", shopify_refund()),
        ("orders/updated", later(2, refunds=[shopify_refund()])),
        ("orders/cancelled", later(3, refunds=[shopify_refund()], cancelled_at="2026-11-02T00:00:00Z")),
        ("orders/updated", later(4, refunds=[shopify_refund()], tags="reopened")),
    ]
    source = await SourceOfShop.add(shop, SHOPIFY)
    chance = random.Random(5)
    for _ in range(4):
        shuffled = deliveries * 2
        chance.shuffle(shuffled)

        assert set(await source.merge(*shuffled)) == {"applied"}

        assert await source.bought() == {"466157049": 1, "518995019": 1, "703073504": 0}
        remaining: dict[tuple[str, int], float] = {}
        for event in await shop.published("orders-v1"):
            remaining |= {(line["item_id"], line["n"]): line["remaining"] for line in event["lines"]}
        assert sorted(remaining.values()) == [0, 1, 1]
        await shop.pool.execute("TRUNCATE orders, order_items, order_versions, order_returns, outbox, inbox")


async def test_a_delivery_is_stored_once_and_a_damaged_one_stops_no_other(shop: Shop) -> None:
    source, inbox = await SourceOfShop.add(shop, SHOPIFY), Inbox(shop.pool)
    assert await source.send("orders/create", shopify_order(), delivery="w1")
    assert not await source.send("orders/create", shopify_order(note="a retry"), delivery="w1")
    assert await source.send("orders/paid", later(1), delivery="w1")

    states = await source.merge(
        ("orders/create", b"{not json"),
        ("orders/create", shopify_order(id=2, line_items=[{"id": 1, "product_id": 5, "quantity": 1e300}])),
        ("orders/create", shopify_order(id=3, currency="a\0b")),
        ("orders/create", shopify_order(id=4, test=True)),
        ("orders/create", shopify_order(id=5)),
    )

    assert states == ["applied", "applied", "failed", "failed", "failed", "ignored", "applied"]
    assert [row["order_id"] for row in await shop.rows("SELECT order_id FROM orders ORDER BY 1")] == [
        "450789469",
        "5",
    ]
    failed = await inbox.deliveries(source.id, status="failed", before=None, limit=10)
    assert len({row["reason"] for row in failed}) == 3
    assert not await inbox.replay(source.id, failed[0]["seq"] + 2, None)
    assert await inbox.replay(
        source.id, failed[0]["seq"], b'{"id": 3, "created_at": "2026-11-01", "line_items": []}'
    )
    assert (await source.merge())[4] == "applied"


async def test_a_worker_that_ends_before_it_commits_leaves_no_trace(shop: Shop) -> None:
    """A cancelled transaction is what a killed worker leaves: the next reader merges the same deliveries."""
    source = await SourceOfShop.add(shop, SHOPIFY)
    for number in range(1, 31):
        await source.send("orders/create", shopify_order(id=number))
    started, merge = asyncio.Event(), RecordMerge.merge

    async def slow(self: RecordMerge, *arguments: Any) -> int:
        changed = await merge(self, *arguments)
        started.set()
        await asyncio.sleep(0.01)
        return changed

    RecordMerge.merge = slow  # type: ignore[method-assign]
    try:
        for _ in range(3):
            started.clear()
            reading = asyncio.create_task(source.reader.read())
            await started.wait()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert await shop.rows("SELECT 1 FROM orders") == await shop.published("orders-v1") == []
    finally:
        RecordMerge.merge = merge  # type: ignore[method-assign]

    assert await source.merge() == ["applied"] * 30
    assert len(await shop.published("orders-v1")) == 30


async def test_two_workers_share_the_inbox_and_merge_each_delivery_once(shop: Shop) -> None:
    source = await SourceOfShop.add(shop, SHOPIFY)
    for number in range(1, 121):
        await source.send("orders/create", shopify_order(id=number))

    while any(await asyncio.gather(*(source.reader.read() for _ in range(3)))):
        pass

    assert len(await shop.published("orders-v1")) == 120


async def test_an_order_of_a_file_and_its_webhook_are_one_order(shop: Shop) -> None:
    header = "order_id,user_id,ordered_at,product_id,quantity,price\n"
    rows = "".join("450789469,207119551,2026-11-01T14:00:00Z,632910392,1,199\n" for _ in range(3))
    await shop.load("orders", header + rows)
    source = await SourceOfShop.add(shop, SHOPIFY)

    await source.merge(
        ("orders/updated", later(1)), ("orders/cancelled", later(2, cancelled_at="2026-11-02"))
    )
    repeated = await shop.load("orders", header + rows)

    assert (repeated.rows_duplicate, repeated.rows_rejected) == (3, 0)
    placed, cancelled = await shop.published("orders-v1")
    assert [(line["item_id"], line["n"]) for line in placed["lines"]] == [
        (line["item_id"], line["n"]) for line in cancelled["lines"]
    ]


async def test_an_unpaid_order_is_bought_when_it_is_paid(shop: Shop) -> None:
    source = await SourceOfShop.add(shop, {"format": "woocommerce"})
    await source.merge(("order.created", woocommerce_order(status="pending")))
    assert set((await source.bought()).values()) == {0}

    paid = woocommerce_order(status="processing", date_modified_gmt="2026-11-01T11:00:00")
    await source.merge(("order.updated", paid))

    assert await source.bought() == {"315": 2, "316": 1}
    events = await shop.published("orders-v1")
    assert [[line["remaining"] for line in event["lines"]] for event in events] == [[0, 0], [2, 1]]


async def test_a_cart_is_an_event_of_its_session_once(shop: Shop) -> None:
    source = await SourceOfShop.add(shop, SHOPIFY)
    cart = {"token": "t1", "line_items": [{"product_id": 5, "quantity": 1}]}

    await source.merge(
        ("carts/create", cart), ("carts/update", cart | {"updated_at": "2026-11-01T00:00:00Z"})
    )

    events = await shop.published("interactions-v1")
    assert {event["event_id"] for event in events} == {events[0]["event_id"]}
    assert (events[0]["event_type"], events[0]["session_id"], events[0]["item_id"]) == (
        "add_to_cart",
        "t1",
        "5",
    )


async def test_an_erased_user_is_in_no_delivery_and_in_no_later_old_order(shop: Shop) -> None:
    source = await SourceOfShop.add(shop, SHOPIFY)
    await source.merge(
        ("orders/create", shopify_order()), ("orders/create", shopify_order(id=2, customer={"id": 8}))
    )
    await source.send("orders/updated", later(1, note="it waits"))

    await Erasures(shop.pool).erase(erasure("207119551", tenant=TENANT))
    await source.merge()

    assert [row["user_id"] for row in await shop.rows("SELECT user_id FROM users")] == ["8"]
    rows = await shop.rows("SELECT unified_customer_id AS id FROM orders ORDER BY order_id DESC")
    assert [row["id"] for row in rows] == [None, "8"]
    bodies = await shop.rows("SELECT body FROM inbox WHERE status = 'applied' AND position('8' IN body) > 0")
    assert len(bodies) == 2
    (receipt,) = await shop.published("erasure-receipts-v1")
    assert receipt["rows"]["inbox"] == 1
