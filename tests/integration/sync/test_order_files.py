"""Order files: what becomes of their rows, also when the worker dies or the file comes again."""

from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from services.sync.domain.imports import Import
from services.sync.store import Imports
from shared.errors import Permanent
from shared.events import OrderCancelled, OrderPlaced
from shared.jobs import LeaseLost
from tests.integration.sync.shop import Shop, a_job

if TYPE_CHECKING:
    from shared.postgres import Connection

HEADER = (
    "order_id,user_id,customer_name,ordered_at,product_id,product_name,quantity,price,currency,country,kind\n"
)
FILE = HEADER + (
    "1,u1,Ada,2026-03-01T10:00:00Z,a,Cup,2,5.00,EUR,Austria,\n"
    "1,u1,Ada,2026-03-01T10:00:00Z,b,Plate,1,8.00,EUR,Austria,\n"
    "2,,,2026-03-01T11:00:00Z,a,Mug,1,5.50,EUR,Germany,\n"
    "5,u2,Bo,2026-03-02T10:00:00Z,c,Bowl,1,oops,EUR,France,\n"
    "3,u2,Bo,2026-03-02T10:00:00Z,a,,1,5.20,EUR,France,\n"
    "1,u1,Ada,2026-03-01T10:00:00Z,a,Cup,1,5.00,EUR,Austria,order\n"
    "4,u1,Ada,2026-03-03T10:00:00Z,a,Old cup,1,1.00,EUR,Italy,cancellation\n"
)
STATE = {
    "orders": "SELECT kind, order_id, unified_customer_id, country, ordered_at, line_count, content "
    "FROM orders ORDER BY 1, 2",
    "lines": "SELECT kind, order_id, product_id, n, unified_customer_id, quantity, price, product_name, "
    "file_line FROM order_items ORDER BY 1, 2, 3, 4",
    "items": "SELECT item_id, name, category, price, currency, attributes, times FROM items ORDER BY 1",
    "users": "SELECT user_id, name, city, country, times FROM users ORDER BY 1",
    "rejects": "SELECT line, code, reason, raw FROM import_rejects ORDER BY 1",
    "outbox": "SELECT id, aggregatetype, aggregateid, type FROM outbox "
    "WHERE type NOT LIKE '%TrainingRequested%' ORDER BY 1, 2",
    "staged": "SELECT * FROM staged_lines",
}


async def state(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    return {name: await shop.rows(query) for name, query in STATE.items()}


def counts(import_: Import) -> tuple[int, int, int, int]:
    return import_.rows_read, import_.rows_accepted, import_.rows_rejected, import_.rows_duplicate


async def test_rows_become_orders_and_one_event_each(shop: Shop) -> None:
    import_ = await shop.load("orders", FILE)

    assert (import_.status, import_.source, counts(import_)) == ("done", "endcap", (7, 6, 1, 0))
    assert import_.changes == {
        "orders": 3, "order_lines": 5, "cancellations": 1, "cancellation_lines": 1, "items": 2, "users": 2,
    }  # fmt: skip
    events = await shop.published("orders-v1")
    placed = {event["order_id"]: OrderPlaced(**event) for event in events if "OrderPlaced" in event["type"]}
    assert placed.keys() == {"1", "2", "3"}
    assert [(line.item_id, line.n, line.quantity) for line in placed["1"].lines] == [
        ("a", 1, 2.0), ("b", 1, 1.0), ("a", 2, 1.0),
    ]  # fmt: skip
    assert (placed["2"].user_id, placed["2"].key) == (None, "shop:order:2")
    assert all(order.historical for order in placed.values())
    (cancelled,) = [OrderCancelled(**event) for event in events if "OrderCancelled" in event["type"]]
    assert (cancelled.lines[0].quantity, cancelled.cancels) == (-1.0, "4")


async def test_the_lines_carry_what_people_ask_about(shop: Shop) -> None:
    await shop.load("orders", FILE)

    (line,) = await shop.rows("SELECT * FROM order_items WHERE order_id = '1' AND product_id = 'b'")

    assert (line["unified_customer_id"], line["customer_name"], line["country"]) == ("u1", "Ada", "Austria")
    assert (line["product_name"], line["price"], line["quantity"]) == ("Plate", 8.0, 1.0)


async def test_items_and_users_are_learnt_from_the_newest_lines(shop: Shop) -> None:
    await shop.load("orders", FILE)

    items = {row["item_id"]: row for row in await shop.rows("SELECT * FROM items")}
    users = {row["user_id"]: row for row in await shop.rows("SELECT * FROM users")}

    # The last price is that of order 3; what is paid back counts for no price, but for a name.
    assert (items["a"]["price"], items["a"]["name"]) == (5.2, "Old cup")
    assert items.keys() == {"a", "b"}
    assert (users["u1"]["name"], users["u1"]["country"]) == ("Ada", "Italy")
    assert len(await shop.published("items-v1")) == 2
    assert len(await shop.published("users-v1")) == 2


async def test_every_refused_row_is_reported_with_its_line(shop: Shop) -> None:
    import_ = await shop.load("orders", FILE)

    ((line, code, raw),) = await shop.rejects(import_.id)

    assert (line, code) == (5, "bad_number")
    assert raw == FILE.splitlines()[4]
    assert import_.reasons == {"bad_number": 1}


async def test_training_is_asked_for_behind_everything_else(shop: Shop) -> None:
    import_ = await shop.load("orders", FILE)

    newest = (await shop.rows("SELECT seq, type, payload FROM outbox ORDER BY seq DESC LIMIT 1"))[0]

    assert newest["type"] == "endcap.TrainingRequested.v1"
    assert (newest["payload"]["reason"], newest["payload"]["import_id"]) == ("import", import_.id)
    assert import_.last_seq == newest["seq"]


async def test_imports_that_come_together_ask_for_training_once(shop: Shop) -> None:
    first, same = [await shop.post("orders", FILE) for _ in range(2)]
    second = await shop.post("orders", FILE)
    await shop.pool.execute("UPDATE imports SET tenant = 'other' WHERE id = $1", second)

    await shop.run(first)
    while_one_waits = await shop.published("training-requests-v1")
    await shop.run(same)

    assert while_one_waits == []
    (request,) = await shop.published("training-requests-v1")
    assert request["import_id"] == first


async def test_the_last_import_asks_for_the_others_when_it_fails_too(shop: Shop) -> None:
    good, bad = await shop.post("orders", FILE), await shop.post("orders", "a,b\n")
    importer = shop.importer()
    await shop.run(good, importer)

    for _ in range(2):
        await importer.failed(a_job(bad, shop.pool), "no order_id")

    (request,) = await shop.published("training-requests-v1")
    assert request["import_id"] == good


async def test_two_imports_that_end_at_once_ask_for_training_once(shop: Shop) -> None:
    identities = [await shop.post("orders", FILE) for _ in range(4)]

    await asyncio.gather(*map(shop.run, identities))

    assert len(await shop.published("training-requests-v1")) == 1


async def test_an_import_is_relayed_once_its_rows_have_left_the_outbox(shop: Shop) -> None:
    import_ = await shop.load("orders", FILE)

    async def relayed() -> bool:
        rows = await shop.imports.of_tenant("shop", import_.id)
        assert rows is not None
        return rows[1]

    assert not await relayed()
    await shop.pool.execute("DELETE FROM outbox WHERE seq < $1", import_.last_seq)
    assert not await relayed()
    await shop.pool.execute("DELETE FROM outbox")
    assert await relayed()


async def test_the_same_file_again_adds_nothing_and_says_so(shop: Shop) -> None:
    await shop.load("orders", FILE)
    before = await state(shop)

    repeated = await shop.load("orders", FILE)

    after = await state(shop)
    assert (repeated.changes, counts(repeated)) == ({}, (7, 0, 1, 6))
    assert {name: rows for name, rows in after.items() if name != "rejects"} == {
        name: rows for name, rows in before.items() if name != "rejects"
    }
    requests = await shop.published("training-requests-v1")
    assert len(requests) == 1


async def test_the_same_orders_with_their_rows_elsewhere_are_the_same(shop: Shop) -> None:
    await shop.load("orders", FILE)
    head, *rows = FILE.splitlines(keepends=True)

    repeated = await shop.load("orders", gzip.compress("".join([head, *sorted(rows)]).encode()))

    assert (repeated.changes, repeated.rows_duplicate) == ({}, 6)


async def test_an_order_that_comes_again_with_other_content_is_refused(shop: Shop) -> None:
    await shop.load("orders", FILE)
    before = await state(shop)

    repeated = await shop.load(
        "orders",
        HEADER
        + "1,u1,Ada,2026-03-01T10:00:00Z,a,Chalice,9,99,EUR,Austria,\n"
        + "5,u3,Cy,2026-03-04T10:00:00Z,d,Fork,1,2.00,EUR,Spain,\n",
    )

    assert (repeated.reasons, counts(repeated)) == ({"order_changed": 1}, (2, 1, 1, 0))
    assert await shop.rejects(repeated.id) == [
        (2, "order_changed", "1,u1,Ada,2026-03-01T10:00:00Z,a,Chalice,9,99,EUR,Austria,")
    ]
    after = await state(shop)
    assert [row for row in after["lines"] if row["order_id"] == "1"] == [
        row for row in before["lines"] if row["order_id"] == "1"
    ]
    # What a refused order says of an item is not believed either.
    assert [row for row in after["items"] if row["item_id"] == "a"] == before["items"][:1]


async def test_an_order_larger_than_an_event_is_refused_and_its_neighbours_go_on(shop: Shop) -> None:
    rows = "".join(f"big,,,2026-03-01,{at},,1,1,,,\n" for at in range(5_001))

    import_ = await shop.load("orders", HEADER + rows + "small,,,2026-03-01,a,,1,1,,,\n")

    assert (import_.reasons, import_.changes["orders"]) == ({"order_too_large": 5_001}, 1)
    assert len(await shop.rejects(import_.id)) == 5_001


class Dying(Imports):
    """Dies when the import is saved for the n-th time: before it is written, or after the commit."""

    def __init__(self, shop: Shop, at: int) -> None:
        super().__init__(shop.pool)
        self.left = at

    async def save(self, connection: Connection, import_: Import) -> None:
        self.left -= 1
        if self.left == 0:
            raise asyncio.CancelledError
        await super().save(connection, import_)


@pytest.mark.parametrize("at", range(1, 12))
async def test_a_worker_that_dies_is_taken_over_without_loss_or_double(shop: Shop, at: int) -> None:
    reference = await shop.load("orders", FILE)
    expected, expected_counts = await state(shop), counts(reference)
    expected_changes = reference.changes
    await shop.pool.execute(
        "TRUNCATE orders, order_items, items, users, import_rejects, imports, outbox, staged_lines"
    )
    identity = await shop.post("orders", FILE)

    with pytest.raises(asyncio.CancelledError):
        await shop.run(identity, shop.importer(imports=Dying(shop, at)))
    import_ = await shop.run(identity)

    assert (import_.status, counts(import_), import_.changes) == ("done", expected_counts, expected_changes)
    assert await state(shop) == expected
    assert len(await shop.published("training-requests-v1")) == 1


@pytest.mark.parametrize("step", ["read", "orders", "items", "users"])
async def test_lines_that_postgres_lost_in_a_crash_are_read_again(shop: Shop, step: str) -> None:
    identity = await shop.post("orders", FILE)

    class DyingInStep(Imports):
        """Dies when it saves in the step for the second time."""

        saved = 0

        async def save(self, connection: Connection, import_: Import) -> None:
            self.saved += import_.step == step
            if self.saved == 2:
                raise asyncio.CancelledError
            await super().save(connection, import_)

    with pytest.raises(asyncio.CancelledError):
        await shop.run(identity, shop.importer(imports=DyingInStep(shop.pool)))
    await shop.pool.execute("TRUNCATE staged_lines")
    import_ = await shop.run(identity)

    assert (import_.status, counts(import_)) == ("done", (7, 6, 1, 0))
    assert {name: import_.changes[name] for name in ("orders", "order_lines")} == {
        "orders": 3,
        "order_lines": 5,
    }
    assert len(await shop.published("orders-v1")) == 4
    assert len(await shop.rejects(identity)) == 1


async def test_a_worker_that_lost_its_lease_writes_nothing_more(shop: Shop) -> None:
    identity = await shop.post("orders", FILE)
    stale = await shop.imports.by_id(identity)
    assert stale is not None
    await shop.run(identity)

    with pytest.raises(LeaseLost):
        async with shop.pool.transaction() as connection:
            await shop.imports.save(connection, stale)


async def test_two_imports_of_the_same_orders_at_once_add_them_once(shop: Shop) -> None:
    identities = [await shop.post("orders", FILE) for _ in range(3)]

    imports = await asyncio.gather(*map(shop.run, identities))

    assert sum(import_.changes.get("orders", 0) for import_ in imports) == 3
    assert sum(import_.rows_accepted for import_ in imports) == 6
    assert len(await shop.published("orders-v1")) == 4


async def test_a_file_of_another_tenant_is_another_shop(shop: Shop) -> None:
    await shop.load("orders", FILE)
    identity = await shop.post("orders", FILE)
    await shop.pool.execute("UPDATE imports SET tenant = 'other' WHERE id = $1", identity)

    import_ = await shop.run(identity)

    assert import_.changes["orders"] == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,b\n1,2\n", "order_id"),
        ("", "empty"),
        (gzip.compress(FILE.encode(), mtime=0)[:-12], "damaged"),
        (FILE.encode("utf-16"), "UTF-16"),
    ],
)
async def test_a_file_that_is_none_fails_with_a_sentence(
    shop: Shop, content: str | bytes, sentence: str
) -> None:
    identity = await shop.post("orders", content)

    with pytest.raises(Permanent, match=sentence):
        await shop.run(identity)

    assert await shop.published("orders-v1") == []


async def test_a_mapping_that_came_along_is_used(shop: Shop) -> None:
    mapping = {
        "source": "erp",
        "columns": {"order_id": "Nr", "ordered_at": "Datum", "product_id": "Art", "quantity": "Menge"},
        "date_formats": ["%d.%m.%Y"],
    }

    import_ = await shop.load("orders", "Nr;Datum;Art;Menge\n1;01.03.2026;x;2\n", mapping=mapping)

    (line,) = await shop.rows("SELECT order_id, product_id, quantity, ordered_at FROM order_items")
    assert import_.source == "erp"
    assert line == {
        "order_id": "1", "product_id": "x", "quantity": 2.0, "ordered_at": datetime(2026, 3, 1, tzinfo=UTC),
    }  # fmt: skip


async def test_an_object_that_was_replaced_meanwhile_is_not_mixed(shop: Shop) -> None:
    identity = await shop.post("orders", FILE)
    import_ = await shop.imports.by_id(identity)
    assert import_ is not None
    shop.files._client.put_object(Bucket=import_.bucket, Key=import_.object_key, Body=HEADER.encode())

    with pytest.raises(Permanent, match="replaced"):
        await shop.run(identity)
