"""Notices of the object store: an announced file becomes one import, all else is ignored or refused."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.sync.worker import Sweep
from shared.errors import Permanent, Transient
from shared.events import ObjectNotice
from tests.integration.sync.shop import TENANT, Shop
from tests.integration.sync.uploads import ORDERS, a_notice


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
async def test_a_notice_of_an_impossible_key_is_refused_and_the_others_are_accepted(
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
