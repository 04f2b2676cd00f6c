"""Files of items, users and interactions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.sync.domain.imports import Import
from services.sync.store import Imports
from shared.events import InteractionRecorded, ItemPut
from tests.integration.sync.shop import TENANT, Shop

if TYPE_CHECKING:
    from shared.postgres import Connection

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITEMS = (
    "item_id,name,category,price,currency,created_at,available,Colour\n"
    "a,Cup,Kitchen,5.00,EUR,2026-01-01,true,red\n"
    "b,Plate,Kitchen,cheap,EUR,,,\n"
    "c,Bowl,,8,EUR,,no,\n"
    "a,Mug,,,,,,\n"
)
USERS = "user_id,name,city,Tier\nu1,Ada,Graz,gold\nu2,Bo,,\n"
INTERACTIONS = (
    "user_id,session_id,event_type,item_id,timestamp,value,page\n"
    "u1,,view,a,2026-03-01T12:00:00Z,,home\n"
    ",s1,Add To Cart,b,1772366401,2,\n"
    "u1,,view,a,2026-03-01T12:00:00Z,,home\n"
    ",,view,a,2026-03-01T12:00:00Z,,\n"
    "u2,,search,,1772366402,,cups\n"
)


def counts(import_: Import) -> tuple[int, int, int, int]:
    return import_.rows_read, import_.rows_accepted, import_.rows_rejected, import_.rows_duplicate


async def test_items_are_merged_and_published_once_each(shop: Shop) -> None:
    import_ = await shop.load("items", ITEMS)

    events = {event["item_id"]: event for event in await shop.published("items-v1")}
    assert (counts(import_), import_.changes) == ((4, 3, 1, 0), {"items": 2})
    assert events.keys() == {"a", "c"}
    assert (events["a"]["name"], events["a"]["price"], events["a"]["attributes"]) == (
        "Mug", 5.0, {"Colour": "red"},
    )  # fmt: skip
    assert (events["c"]["available"], "category" in events["c"]) == (False, False)
    assert len(await shop.published("training-requests-v1")) == 1


async def test_the_same_items_again_change_and_publish_nothing(shop: Shop) -> None:
    await shop.load("items", ITEMS)
    before = await shop.rows("SELECT item_id, name, updated_at FROM items ORDER BY 1")

    # Row by row, "a" becomes a cup and a mug again: the state at the end is what counts.
    repeated = await shop.load("items", ITEMS, said_at=datetime.now(UTC) + timedelta(seconds=5))

    assert (counts(repeated), repeated.changes) == ((4, 0, 1, 3), {})
    assert await shop.rows("SELECT item_id, name, updated_at FROM items ORDER BY 1") == before
    assert len(await shop.published("items-v1")) == 2


async def test_a_catalogue_sent_again_in_one_piece_says_nothing_new(shop: Shop) -> None:
    await shop.load("users", USERS)
    before = await shop.rows("SELECT * FROM users ORDER BY 1, 2")

    repeated = await shop.load("users", USERS)

    after = await shop.rows("SELECT * FROM users ORDER BY 1, 2")
    assert (counts(repeated), repeated.changes) == ((2, 0, 0, 2), {})
    assert [row["updated_at"] for row in after] == [row["updated_at"] for row in before]
    assert [row["times"] for row in after] != [row["times"] for row in before]
    assert len(await shop.published("users-v1")) == 2
    assert len(await shop.published("training-requests-v1")) == 1


async def test_a_file_from_before_a_put_does_not_overwrite_it(shop: Shop) -> None:
    put = ItemPut(event_id="e", tenant=TENANT, occurred_at=NOON, item_id="a", fields={"name": "Chalice"})
    await shop.handlers.put([put])

    await shop.load("items", ITEMS, said_at=NOON - timedelta(hours=1))

    (item,) = await shop.rows("SELECT name, price FROM items WHERE item_id = 'a'")
    assert item == {"name": "Chalice", "price": 5.0}


async def test_interactions_go_to_their_topic_once(shop: Shop) -> None:
    import_ = await shop.load("interactions", INTERACTIONS)

    events = [InteractionRecorded(**event) for event in await shop.published("interactions-v1")]
    assert (counts(import_), import_.changes) == ((5, 3, 1, 1), {"interactions": 3})
    assert [(event.subject, event.event_type, event.item_id) for event in events] == [
        ("u1", "view", "a"), ("s1", "add_to_cart", "b"), ("u2", "search", None),
    ]  # fmt: skip
    assert all(event.historical and event.source == "import" for event in events)


async def test_the_same_interactions_again_are_known(shop: Shop) -> None:
    await shop.load("interactions", INTERACTIONS)

    repeated = await shop.load("interactions", INTERACTIONS)

    assert (counts(repeated), repeated.changes) == ((5, 0, 1, 4), {})
    assert len(await shop.published("interactions-v1")) == 3
    assert len(await shop.published("training-requests-v1")) == 1


@pytest.mark.parametrize("at", range(1, 4))
async def test_a_killed_worker_publishes_no_interaction_twice(shop: Shop, at: int) -> None:
    identity = await shop.post("interactions", INTERACTIONS)

    class Dying(Imports):
        saved = 0

        async def save(self, connection: Connection, import_: Import) -> None:
            self.saved += 1
            if self.saved == at:
                raise asyncio.CancelledError
            await super().save(connection, import_)

    with pytest.raises(asyncio.CancelledError):
        await shop.run(identity, shop.importer(imports=Dying(shop.pool), chunk_rows=2))
    import_ = await shop.run(identity)

    assert counts(import_) == (5, 3, 1, 1)
    assert len(await shop.published("interactions-v1")) == 3


async def test_a_file_with_a_header_only_changes_nothing(shop: Shop) -> None:
    import_ = await shop.load("users", "user_id,name\n")

    assert (import_.status, import_.changes) == ("done", {})
    assert await shop.published("training-requests-v1") == []


async def test_rejects_of_a_damaged_file_can_be_stored_and_shown(shop: Shop) -> None:
    content = USERS.encode() + b'u3,\xff\xfe,,\nu4,\x00,,\nu5,"open,,\nu6,Dee,,\n' + b"x" * 200_000 + b"\n"

    import_ = await shop.load("users", content)

    assert import_.reasons == {"bad_encoding": 2, "bad_quotes": 1, "row_too_long": 1}
    assert [(line, code) for line, code, _ in await shop.rejects(import_.id)] == [
        (4, "bad_encoding"), (5, "bad_encoding"), (6, "bad_quotes"), (8, "row_too_long"),
    ]  # fmt: skip
    assert [row["user_id"] for row in await shop.rows("SELECT user_id FROM users ORDER BY 1")] == [
        "u1", "u2", "u6",
    ]  # fmt: skip
