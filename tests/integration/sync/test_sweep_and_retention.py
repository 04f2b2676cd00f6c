"""Uploads that nobody announced are imported, and posted files are deleted days after their end."""

from __future__ import annotations

import asyncio

import pytest

from services.sync.metrics import UPLOADS
from services.sync.store import StoreDenied
from services.sync.worker import Retention, Sweep
from tests.integration.sync.shop import TENANT, Shop, a_job
from tests.integration.sync.uploads import ORDERS, a_notice
from tests.support.stack import Database
from tests.support.tenants import make_tenant


async def test_the_sweep_finds_what_nobody_announced(shop: Shop) -> None:
    bucket = shop.files.uploads_bucket
    for name in ("orders.csv", "items-1.csv.gz", "users.csv", "readme.md"):
        shop.files._client.put_object(Bucket=bucket, Key=f"{TENANT}/{name}", Body=ORDERS)
    sweep = Sweep(shop.imports, shop.files)

    assert [await sweep.sweep(), await sweep.sweep()] == [3, 0]


async def test_an_upload_that_failed_for_an_outage_is_imported_later(shop: Shop) -> None:
    bucket, key = shop.files.uploads_bucket, f"{TENANT}/orders.csv"
    shop.files._client.put_object(Bucket=bucket, Key=key, Body=ORDERS)
    sweep, importer = Sweep(shop.imports, shop.files), shop.importer()
    result = [await sweep.sweep()]

    for outage in (True, False):
        (waiting,) = await shop.rows("SELECT id FROM imports WHERE status = 'queued'")
        await importer.failed(a_job(waiting["id"], shop.pool, outage=outage), "the store is away")
        result.append(await sweep.sweep())
        await shop.handlers.objects_created([a_notice(bucket, key)])

    # A file that is bad stays bad.
    assert result == [1, 1, 0]
    assert [row["outage"] for row in await shop.rows("SELECT outage FROM imports ORDER BY created_at")] == [
        True, False,
    ]  # fmt: skip


async def test_a_failed_upload_that_is_put_again_is_another_import(shop: Shop) -> None:
    bucket, key = shop.files.uploads_bucket, f"{TENANT}/orders.csv"
    shop.files._client.put_object(Bucket=bucket, Key=key, Body=ORDERS)
    await shop.handlers.objects_created([a_notice(bucket, key)])
    (first,) = await shop.rows("SELECT id, said_at FROM imports")
    await shop.importer().failed(a_job(first["id"], shop.pool), "not today")

    await asyncio.sleep(1.1)  # Stores tell the second of a change.
    shop.files._client.put_object(Bucket=bucket, Key=key, Body=ORDERS)
    await shop.handlers.objects_created([a_notice(bucket, key)])

    queued = await shop.rows("SELECT id FROM imports WHERE status = 'queued'")
    assert len(queued) == 1
    assert (await shop.run(queued[0]["id"])).changes["orders"] == 1


async def test_an_upload_of_no_tenant_waits_until_there_is_one(shop: Shop, database: Database) -> None:
    bucket, key = shop.files.uploads_bucket, "soon/orders.csv"
    shop.files._client.put_object(Bucket=bucket, Key=key, Body=ORDERS)
    sweep = Sweep(shop.imports, shop.files)
    before = UPLOADS.labels("unknown_tenant")._value.get()

    await shop.handlers.objects_created([a_notice(bucket, key)])
    for _ in range(3):
        await sweep.sweep()
    counted = UPLOADS.labels("unknown_tenant")._value.get() - before
    rows = await shop.rows("SELECT id FROM imports")
    await make_tenant(database, "soon")
    result = await sweep.sweep()

    assert (counted, rows, result) == (2, [], 1)


async def test_posted_files_go_days_after_their_end_and_uploads_stay(shop: Shop) -> None:
    bucket, client = shop.files.uploads_bucket, shop.files._client
    client.put_object(Bucket=bucket, Key=f"{TENANT}/orders.csv", Body=ORDERS)
    await shop.handlers.objects_created([a_notice(bucket, f"{TENANT}/orders.csv")])
    old, failed, new, waiting = [await shop.post("orders", ORDERS) for _ in range(4)]
    await shop.importer().failed(a_job(failed, shop.pool), "not today")
    for identity in (old, new):
        await shop.run(identity)
    await shop.pool.execute("UPDATE imports SET finished_at = now() - interval '8 days' WHERE id <> $1", new)
    await shop.pool.execute("UPDATE imports SET finished_at = NULL WHERE id = $1", waiting)
    cleaning = Retention(shop.imports, shop.files, 7)

    deleted = [await cleaning.clean(), await cleaning.clean()]

    left = {entry["Key"] for entry in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert deleted == [2, 0]
    assert left == {f"{TENANT}/orders.csv"} | {
        f"{TENANT}/imports/{import_id}/file.csv" for import_id in (new, waiting)
    }


async def test_a_file_that_the_store_keeps_holds_up_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, *deleted = sorted([await shop.post("orders", ORDERS) for _ in range(3)])
    await shop.pool.execute("UPDATE imports SET finished_at = now() - interval '8 days'")
    cleaning, delete = Retention(shop.imports, shop.files, 7), shop.files.delete

    async def refusing(bucket: str, key: str) -> None:
        if kept in key:
            raise StoreDenied("The object store answered with an error: AccessDenied.")
        await delete(bucket, key)

    monkeypatch.setattr(shop.files, "delete", refusing)
    first = [await cleaning.clean(), await cleaning.clean()]
    monkeypatch.undo()

    assert first == [len(deleted), 0]
    assert await cleaning.clean() == 1
