"""What is consumed: puts are merged, announced objects become imports."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.sync.metrics import UPLOADS
from services.sync.store import StoreDenied
from services.sync.worker import Retention, Sweep
from shared.errors import Permanent, Transient
from shared.events import ItemPut, ObjectNotice, UserPut
from tests.integration.sync.shop import TENANT, Shop, a_job
from tests.support.stack import Database
from tests.support.tenants import make_tenant

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDERS = b"order_id,ordered_at,product_id,quantity\n1,2026-03-01,a,1\n"


def an_item_put(after: int = 0, item: str = "a", tenant: str = TENANT, **fields: Any) -> ItemPut:
    return ItemPut(
        event_id=f"{item}{after}",
        tenant=tenant,
        occurred_at=NOON + timedelta(seconds=after),
        item_id=item,
        fields=fields,
    )


def a_notice(bucket: str, key: str) -> ObjectNotice:
    return ObjectNotice.model_validate(
        {
            "Records": [
                {
                    "eventName": "s3:ObjectCreated:Put",
                    "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1, "eTag": "x"}},
                }
            ]
        }
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


async def test_an_announced_object_becomes_one_import_however_often_it_is_announced(shop: Shop) -> None:
    bucket = shop.files.uploads_bucket
    shop.files._client.put_object(Bucket=bucket, Key=f"{TENANT}/orders 1.csv", Body=ORDERS)
    notice = a_notice(bucket, f"{TENANT}/orders 1.csv")

    await shop.handlers.objects_created([notice, notice])
    await shop.handlers.objects_created([a_notice(bucket, f"{TENANT}/orders+1.csv")])  # as Amazon encodes it
    await Sweep(shop.imports, shop.files).sweep()

    (result,) = await shop.rows("SELECT id, tenant, kind, origin, filename FROM imports")
    assert (result["tenant"], result["kind"], result["origin"]) == (TENANT, "orders", "upload")
    assert (await shop.run(result["id"])).changes["orders"] == 1


async def test_a_file_that_is_put_again_is_another_import(shop: Shop) -> None:
    bucket, key = shop.files.uploads_bucket, f"{TENANT}/orders.csv"
    shop.files._client.put_object(Bucket=bucket, Key=key, Body=ORDERS)
    await shop.handlers.objects_created([a_notice(bucket, key)])
    shop.files._client.put_object(Bucket=bucket, Key=key, Body=ORDERS + b"2,2026-03-01,b,1\n")
    await shop.handlers.objects_created([a_notice(bucket, key)])

    newest = (await shop.rows("SELECT id FROM imports ORDER BY created_at DESC"))[0]

    assert len(await shop.rows("SELECT id FROM imports")) == 2
    assert (await shop.run(newest["id"])).changes["orders"] == 2


@pytest.mark.parametrize("key", [f"{TENANT}/notes.txt", "orders.csv", f"{TENANT}/done/orders.csv"])
async def test_any_other_key_is_ignored(shop: Shop, key: str) -> None:
    bucket = shop.files.uploads_bucket
    shop.files._client.put_object(Bucket=bucket, Key=key, Body=ORDERS)

    await shop.handlers.objects_created([a_notice(bucket, key)])
    await Sweep(shop.imports, shop.files).sweep()

    assert await shop.rows("SELECT id FROM imports") == []


async def test_a_test_message_an_object_that_is_gone_and_another_bucket_are_ignored(shop: Shop) -> None:
    test_message = ObjectNotice.model_validate({"Event": "s3:TestEvent", "Service": "S3"})

    await shop.handlers.objects_created(
        [
            test_message,
            a_notice(shop.files.uploads_bucket, f"{TENANT}/orders.csv"),
            a_notice("elsewhere", f"{TENANT}/orders.csv"),
        ]
    )

    assert await shop.rows("SELECT id FROM imports") == []


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_an_object_that_the_store_refuses_to_show_fails_its_own_notice_only(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    bucket, head = shop.files.uploads_bucket, shop.files._client.head_object
    shop.files._client.put_object(Bucket=bucket, Key=f"{TENANT}/orders 2.csv", Body=ORDERS)

    def refusing(**parameters: Any) -> Any:
        if parameters["Key"] in {f"{TENANT}/orders-1.csv", f"{TENANT}/orders+2.csv"}:
            answer: Any = {
                "Error": {"Code": str(status), "Message": "No"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            raise ClientError(answer, "HeadObject")
        return head(**parameters)

    monkeypatch.setattr(shop.files._client, "head_object", refusing)

    with pytest.raises(Permanent, match=rf"orders-1.csv in .* \({status}\)"):
        await shop.handlers.objects_created([a_notice(bucket, f"{TENANT}/orders-1.csv")])
    await shop.handlers.objects_created([a_notice(bucket, f"{TENANT}/orders+2.csv")])

    assert [row["filename"] for row in await shop.rows("SELECT filename FROM imports")] == ["orders 2.csv"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("orders\x00.csv", "NUL"),
        ("orders%00.csv", "NUL"),
        ("no\x00import", "NUL"),
        ("orders" + 2_000 * "x" + ".csv", "longer"),
    ],
    ids=["nul", "encoded-nul", "nul-elsewhere", "long"],
)
async def test_a_notice_of_an_impossible_key_is_refused_and_its_neighbours_are_taken(
    shop: Shop, name: str, why: str
) -> None:
    bucket, key = shop.files.uploads_bucket, f"{TENANT}/orders 3.csv"
    shop.files._client.put_object(Bucket=bucket, Key=key, Body=ORDERS)

    with pytest.raises(Permanent, match=why):
        await shop.handlers.objects_created([a_notice(bucket, f"{TENANT}/{name}"), a_notice(bucket, key)])

    assert [row["filename"] for row in await shop.rows("SELECT filename FROM imports")] == ["orders 3.csv"]


async def test_an_object_that_the_store_fails_to_show_is_refused_only_while_the_store_answers(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, notice = shop.files.uploads_bucket, a_notice(shop.files.uploads_bucket, f"{TENANT}/orders.csv")

    def failing(status: int) -> Any:
        def answer(**_: Any) -> Any:
            response: Any = {"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(response, "HeadObject")

        return answer

    monkeypatch.setattr(shop.files._client, "head_object", failing(500))
    with pytest.raises(Permanent, match=f"in {bucket} cannot be read, although the store works"):
        await shop.handlers.objects_created([notice])

    monkeypatch.setattr(shop.files._client, "head_object", failing(503))
    with pytest.raises(Transient, match="503"):
        await shop.handlers.objects_created([notice])

    monkeypatch.setattr(shop.files._client, "head_object", failing(500))
    monkeypatch.setattr(shop.files._client, "head_bucket", failing(500))
    with pytest.raises(Transient, match="500"):
        await shop.handlers.objects_created([notice])


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
