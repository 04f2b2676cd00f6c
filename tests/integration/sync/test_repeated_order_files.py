"""Order files that come again or at once: no order is added twice, and training is asked for once."""

from __future__ import annotations

import asyncio
import gzip

from tests.integration.sync.orders import FILE, HEADER, counts, state
from tests.integration.sync.shop import Shop, a_job


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


async def test_two_imports_of_the_same_orders_at_once_add_them_once(shop: Shop) -> None:
    identities = [await shop.post("orders", FILE) for _ in range(3)]

    imports = await asyncio.gather(*map(shop.run, identities))

    assert sum(import_.changes.get("orders", 0) for import_ in imports) == 3
    assert sum(import_.rows_accepted for import_ in imports) == 6
    assert len(await shop.published("orders-v1")) == 4
