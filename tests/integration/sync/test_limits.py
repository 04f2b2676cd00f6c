"""Files and puts that are larger than anybody needs: they are bounded, and hold up nobody else."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.sync.domain.limits import Limits
from services.sync.store.imports import JOB
from services.sync.worker import Retention
from shared.errors import Permanent
from shared.events import ItemPut
from shared.jobs import JobWorker
from tests.integration.sync.shop import TENANT, a_job
from tests.support.tenants import make_tenant
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.sync.shop import Shop
    from tests.support.stack import Database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADER = b"order_id,ordered_at,product_id,quantity\n"
BOMB = gzip.compress(HEADER + (b"x" * 29 + b"\n") * 100_000, mtime=0)


async def test_a_few_packed_kilobytes_of_many_bad_rows_are_refused_early(shop: Shop) -> None:
    identity = await shop.post("orders", BOMB)

    with pytest.raises(Permanent, match="more than 100 times its size"):
        await shop.importer(chunk_rows=5_000).run(a_job(identity, shop.pool))

    (kept,) = await shop.rows("SELECT count(*) AS rows, sum(length(raw)) AS bytes FROM import_rejects")
    assert (len(BOMB), kept["rows"]) == (7_343, 10_000)


async def test_of_refused_rows_the_first_are_kept_and_all_are_counted(shop: Shop) -> None:
    content = HEADER + b"1,2026-03-01,a,1\n" + b"2,never,b,1\n" * 10 + b"3,2026-03-01,c,1\n" + b"x\n" * 10
    importer = shop.importer(chunk_rows=4, limits=Limits(max_kept_rejects=12))

    import_ = await shop.run(await shop.post("orders", content), importer)

    assert (import_.rows_accepted, import_.rows_rejected, import_.rejects_kept) == (2, 20, 12)
    assert import_.reasons == {"bad_date": 10, "ragged_row": 10}
    assert [line for line, _, _ in await shop.rejects(import_.id)] == [*range(3, 13), 14, 15]


async def test_the_refused_lines_of_orders_share_the_room_with_those_of_rows(shop: Shop) -> None:
    same = b"1,2026-03-01,a,1,1\n"
    content = b"order_id,ordered_at,product_id,quantity,line\n" + b"bad\n" * 3 + same * 5
    importer = shop.importer(limits=Limits(max_kept_rejects=5))

    import_ = await shop.run(await shop.post("orders", content), importer)

    assert (import_.rows_accepted, import_.rows_rejected, import_.rejects_kept) == (1, 7, 5)
    assert import_.reasons == {"ragged_row": 3, "line_repeated": 4}
    assert [line for line, _, _ in await shop.rejects(import_.id)] == [2, 3, 4, 6, 7]
    kept = await shop.rows("SELECT sum(octet_length(reason) + octet_length(raw)) AS size FROM import_rejects")
    assert kept == [{"size": import_.reject_bytes}]


async def test_a_file_of_too_many_lines_fails_with_a_sentence(shop: Shop) -> None:
    content = HEADER + b"1,2026-03-01,a,1\n" * 5

    assert (await shop.load("orders", content)).status == "done"
    with pytest.raises(Permanent, match="more than 4 lines after the header; split it"):
        await shop.run(await shop.post("orders", content), shop.importer(limits=Limits(max_import_rows=4)))


async def test_refused_rows_go_some_days_after_their_import(shop: Shop) -> None:
    old, new = [await shop.load("orders", HEADER + b"x\n" * 3) for _ in range(2)]
    await shop.pool.execute(
        "UPDATE imports SET finished_at = now() - interval '31 days' WHERE id = $1", old.id
    )

    for _ in range(2):
        await Retention(shop.imports, shop.files, days=60, reject_days=30).clean()

    assert [await shop.rejects(each.id) for each in (old, new)] == [[], await shop.rejects(new.id)]
    assert len(await shop.rejects(new.id)) == 3
    deleted = await shop.rows("SELECT id FROM imports WHERE rejects_deleted_at IS NOT NULL")
    assert deleted == [{"id": old.id}]


async def test_imports_of_one_tenant_do_not_hold_up_those_of_another(shop: Shop, database: Database) -> None:
    await make_tenant(database, "other")
    slow = HEADER + b"1,2026-03-01,a,1\nx\n" * 5_000
    for _ in range(3):
        await shop.post("orders", slow)
    quick = await shop.post("orders", HEADER + b"1,2026-03-01,a,1\n", tenant="other")

    async def ended() -> int:
        rows = await shop.rows("SELECT FROM imports WHERE finished_at IS NOT NULL")
        return len(rows)

    importer = shop.importer(chunk_rows=1_000)
    worker = JobWorker(shop.pool, {JOB: importer.run}, failed=importer.failed, concurrency=2, per_tenant=1)
    await worker.start()
    await eventually(ended, enough=lambda count: count == 4, every=0.2)
    await worker.stop()

    order = await shop.rows("SELECT id, status FROM imports ORDER BY finished_at")
    assert [row["status"] for row in order] == ["done"] * 4
    assert quick in {row["id"] for row in order[:2]}


def a_put(number: int, size: int, item: str = "large") -> ItemPut:
    return ItemPut(
        event_id=f"{item}{number}",
        tenant=TENANT,
        occurred_at=NOON + timedelta(seconds=number),
        item_id=item,
        fields={f"p{number}": "x" * size},
    )


async def test_an_item_that_is_full_is_refused_alone(shop: Shop) -> None:
    for number in range(6):
        await shop.handlers.put([a_put(number, 80_000)])
    with pytest.raises(Permanent, match=r"'large' would have 5\d\d,\d\d\d bytes of properties"):
        await shop.handlers.put([a_put(7, 80_000)])
    wide = "item_id,name," + ",".join(f"q{n}" for n in range(11)) + "\na,Cup" + "," * 11 + "\nlarge,Vase"
    wide += "".join("," + "y" * 1_900 for _ in range(11)) + "\nz,Bowl" + "," * 11 + "\n"

    import_ = await shop.load("items", wide)

    assert (import_.status, import_.rows_accepted, import_.rows_rejected) == ("done", 2, 1)
    assert import_.reasons == {"too_large": 1}
    ((line, code, raw),) = await shop.rejects(import_.id)
    assert (line, code, raw[:15]) == (3, "too_large", '{"name":"Vase",')
    items = await shop.rows("SELECT item_id, name FROM items ORDER BY 1")
    assert items == [
        {"item_id": "a", "name": "Cup"}, {"item_id": "large", "name": None}, {"item_id": "z", "name": "Bowl"},
    ]  # fmt: skip


async def test_an_order_of_a_full_item_is_taken_all_the_same(shop: Shop) -> None:
    for number in range(5):
        await shop.handlers.put([a_put(number, 99_900)])
    content = "order_id,ordered_at,product_id,quantity,product_name\n"
    content += f"1,2026-03-01,large,1,{'n' * 1_900}\n2,2026-03-01,b,1,Cup\n"

    import_ = await shop.load("orders", content)

    assert (import_.status, import_.rows_accepted, import_.rows_rejected) == ("done", 2, 0)
    assert await shop.rows("SELECT item_id, name FROM items ORDER BY 1") == [
        {"item_id": "b", "name": "Cup"}, {"item_id": "large", "name": None},
    ]  # fmt: skip
