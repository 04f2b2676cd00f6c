"""Puts are merged into the states of items and users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import Permanent
from shared.events import ItemPut, UserPut
from tests.integration.sync.shop import TENANT, Shop

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_item_put(after: int = 0, item: str = "a", tenant: str = TENANT, **fields: Any) -> ItemPut:
    return ItemPut(
        event_id=f"{item}{after}",
        tenant=tenant,
        occurred_at=NOON + timedelta(seconds=after),
        item_id=item,
        fields=fields,
    )


async def test_puts_are_merged_field_by_field(shop: Shop) -> None:
    await shop.handlers.put([an_item_put(0, name="Cup", price=5), an_item_put(2, price=6)])
    await shop.handlers.put([an_item_put(1, price=1, Colour="red")])

    (item,) = await shop.rows("SELECT name, price, attributes FROM items")
    assert item == {"name": "Cup", "price": 6.0, "attributes": {"Colour": "red"}}
    events = await shop.published("items-v1")
    assert [event.get("price") for event in events] == [6.0, 6.0]
    assert events[-1]["attributes"] == {"Colour": "red"}


def a_record(after: int, fields: dict[str, Any], **columns: Any) -> ItemPut:
    return an_item_put(after, **fields).model_copy(update={"columns": columns})


async def test_a_record_of_a_dataset_replaces_the_one_before_it_and_not_what_a_file_says(shop: Shop) -> None:
    created = "2023-11-14T22:13:20+00:00"
    await shop.load("items", "item_id,name,price\na,Cup,4\n", said_at=NOON)
    await shop.handlers.put([a_record(10, {"price": 5.0, "created_at": created}, promoted="Y", inStock=0)])
    put = await shop.rows("SELECT name, price, available, created_at, attributes FROM items")
    record = a_record(20, {}, inStock=7)

    await shop.handlers.put([record])
    await shop.handlers.put([record, a_record(5, {"price": 9.0}, promoted="N")])

    after = await shop.rows("SELECT name, price, available, created_at, attributes FROM items")
    assert put == [
        {
            "name": "Cup",
            "price": 5.0,
            "available": True,
            "created_at": datetime.fromisoformat(created),
            "attributes": {"promoted": "Y", "inStock": 0},
        }
    ]
    assert after == [put[0] | {"price": 4.0, "created_at": None, "attributes": {"inStock": 7}}]
    assert [event.get("price") for event in await shop.published("items-v1")] == [4.0, 5.0, 4.0]


async def test_a_record_of_a_user_replaces_the_one_before_it(shop: Shop) -> None:
    for after, columns in enumerate(({"age": 30, "tier": "gold"}, {"age": 31})):
        put = UserPut(
            event_id=f"u{after}",
            tenant=TENANT,
            occurred_at=NOON + timedelta(seconds=after),
            user_id="u",
            fields={} if after else {"city": "Graz"},
            columns=columns,
        )
        await shop.handlers.put([put])

    assert await shop.rows("SELECT city, attributes FROM users") == [
        {"city": None, "attributes": {"age": 31}}
    ]


async def test_a_batch_that_comes_again_publishes_nothing(shop: Shop) -> None:
    user = UserPut(event_id="u", tenant=TENANT, occurred_at=NOON, user_id="u", fields={"city": "Graz"})
    batch = [an_item_put(0, name="Cup"), an_item_put(1, name="Mug"), user]
    await shop.handlers.put(batch)
    before = await shop.rows("SELECT * FROM outbox")

    await shop.handlers.put(batch)

    assert await shop.rows("SELECT * FROM outbox") == before
    assert [row["city"] for row in await shop.rows("SELECT city FROM users")] == ["Graz"]


async def test_a_put_that_changes_nothing_is_not_published(shop: Shop) -> None:
    await shop.handlers.put([an_item_put(0, name="Cup")])

    await shop.handlers.put([an_item_put(9, name="Cup")])

    assert len(await shop.published("items-v1")) == 1
    (item,) = await shop.rows("SELECT times->>'name' AS said FROM items")
    assert item["said"].endswith("9000000")


async def test_tenants_are_apart(shop: Shop) -> None:
    await shop.handlers.put([an_item_put(name="Cup"), an_item_put(tenant="other", name="Plate")])

    assert await shop.rows("SELECT tenant, name FROM items ORDER BY 1") == [
        {"tenant": "other", "name": "Plate"}, {"tenant": TENANT, "name": "Cup"},
    ]  # fmt: skip


async def test_a_put_that_can_never_be_taken_is_permanent_and_changes_nothing(shop: Shop) -> None:
    with pytest.raises(Permanent, match="price"):
        await shop.handlers.put([an_item_put(name="Cup"), an_item_put(item="b", price="cheap")])

    assert await shop.rows("SELECT * FROM items") == []
