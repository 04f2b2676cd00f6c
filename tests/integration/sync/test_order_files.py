"""Order files: what becomes of their rows."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from shared.errors import Permanent
from shared.events import OrderCancelled, OrderPlaced
from tests.integration.sync.orders import FILE, HEADER, counts
from tests.integration.sync.shop import Shop


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


async def test_a_cancellation_undoes_the_order_of_its_id_whichever_comes_first(shop: Shop) -> None:
    at = "2026-03-01T10:00:00Z"
    placed = f"1,u1,Ada,{at},a,Cup,2,5,EUR,Austria,\n1,u1,Ada,{at},b,Plate,1,8,EUR,Austria,\n"
    undone = (
        "1,u1,Ada,2026-03-05T10:00:00Z,a,Cup,2,5,EUR,Austria,cancellation\n"
        "2,u1,Ada,2026-03-05T10:00:00Z,a,Cup,1,5,EUR,Austria,cancellation\n"
    )
    await shop.load("orders", HEADER + placed)
    await shop.load("orders", HEADER + undone)
    await shop.load("orders", HEADER + f"2,u1,Ada,{at},a,Cup,1,5,EUR,Austria,\n")

    first, *cancelled, second = await shop.published("orders-v1")
    assert [line.get("remaining") for line in first["lines"]] == [None, None]
    assert sorted(
        (event["cancels"], event["revision"], event.get("placed_at"), event["lines"][0]["remaining"])
        for event in cancelled
    ) == [("1", 1, at, 0), ("2", 1, None, 0)]
    assert [line["remaining"] for line in second["lines"]] == [0]
    # The history stays.
    assert len(await shop.rows("SELECT FROM orders")) == 4


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


async def test_an_order_larger_than_an_event_is_refused_and_the_others_are_accepted(shop: Shop) -> None:
    rows = "".join(f"big,,,2026-03-01,{at},,1,1,,,\n" for at in range(5_001))

    import_ = await shop.load("orders", HEADER + rows + "small,,,2026-03-01,a,,1,1,,,\n")

    assert (import_.reasons, import_.changes["orders"]) == ({"order_too_large": 5_001}, 1)
    assert len(await shop.rejects(import_.id)) == 5_001


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
