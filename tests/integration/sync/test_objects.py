"""Files of the object store that are named: who may read which, and that a version is one import."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from pydantic import SecretStr

from services.sync import app
from services.sync.settings import Settings
from services.sync.worker import Sweep
from shared.settings import AuthSettings, PostgresSettings, S3Settings
from tests.integration.sync.shop import TENANT, Shop, a_job
from tests.integration.sync.uploads import ORDERS, a_notice
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, make_tenant

CSV = b"user_id,item_id,event_type,timestamp\nu1,i1,view,2026-11-01T00:00:00Z\n"
OTHER = "other"


@dataclass(frozen=True)
class Caller:
    """Calls the route as a service that names the tenant."""

    http: httpx.AsyncClient
    lake: str

    async def post(self, location: str, tenant: str = TENANT, **more: str) -> httpx.Response:
        headers = {"x-api-key": SERVICE_KEY, "x-endcap-tenant": tenant}
        body = {"location": location, **more}
        return await self.http.post("/v1/imports/objects", json=body, headers=headers)

    async def accepted(self, location: str, tenant: str = TENANT, **more: str) -> dict[str, Any]:
        answer = await self.post(location, tenant, **more)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def refusal(self, location: str, tenant: str = TENANT, **more: str) -> tuple[int, str, str]:
        answer = await self.post(location, tenant, **more)
        return answer.status_code, answer.json()["error"], answer.json()["detail"]


@pytest.fixture
def lake(s3: ObjectStore) -> Iterator[str]:
    """A bucket of a shop."""
    client, name = s3.client(), f"lake-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    yield name
    for entry in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=entry["Key"])
    client.delete_bucket(Bucket=name)


@pytest_asyncio.fixture
async def caller(shop: Shop, database: Database, s3: ObjectStore, lake: str) -> AsyncIterator[Caller]:
    await make_tenant(database, OTHER)
    service = app.build(
        Settings(
            max_pending_imports=2,
            postgres=PostgresSettings(database_url=database.role_url("sync")),
            auth=AuthSettings(endcap_secret_key=SECRET_KEY, endcap_service_key=SERVICE_KEY),
            s3=S3Settings(
                aws_endpoint_url_s3=s3.endpoint,
                aws_region=s3.region,
                aws_access_key_id=s3.access_key_id,
                aws_secret_access_key=SecretStr(s3.secret_access_key),
                endcap_data_bucket="endcap-data",
                endcap_uploads_bucket=shop.files.uploads_bucket,
            ),
        )
    )
    async with (
        LifespanManager(service),
        httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://sync") as client,
    ):
        yield Caller(client, lake)


async def allow(database: Database, tenant: str, bucket: str, prefix: str = "") -> None:
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute(
            "INSERT INTO engine.bucket_grants (account, tenant, bucket, prefix, read_only) "
            "VALUES ('000000000000', $1, $2, $3, true)",
            tenant,
            bucket,
            prefix,
        )
    finally:
        await connection.close()


async def put(s3: ObjectStore, bucket: str, key: str, body: bytes = CSV) -> str:
    """Put an object, and return its location."""
    await asyncio.to_thread(lambda: s3.client().put_object(Bucket=bucket, Key=key, Body=body))
    return f"s3://{bucket}/{key}"


async def test_a_file_of_an_allowed_bucket_is_imported_where_it_is(
    shop: Shop, caller: Caller, s3: ObjectStore, database: Database
) -> None:
    await allow(database, TENANT, caller.lake, "exports/")
    location = await put(s3, caller.lake, "exports/interactions.csv")

    new = await caller.accepted(location)
    import_ = await shop.run(new["id"])
    again = await caller.accepted(location)

    assert new == {"id": import_.id, "kind": "interactions", "status": "queued"}
    assert again == {**new, "status": "done"}
    assert (import_.bucket, import_.object_key) == (caller.lake, "exports/interactions.csv")
    assert [event["user_id"] for event in await shop.published("interactions-v1")] == ["u1"]
    (request,) = await shop.published("training-requests-v1")
    assert request["import_id"] == import_.id
    mended = await put(
        s3, caller.lake, "exports/interactions.csv", CSV + b"u2,i1,view,2026-11-02T00:00:00Z\n"
    )
    assert (await caller.accepted(mended))["id"] != new["id"]


async def test_the_kind_that_is_sent_decides(shop: Shop, caller: Caller, s3: ObjectStore) -> None:
    location = await put(
        s3, shop.files.uploads_bucket, f"{TENANT}/2026/export.csv", b"item_id,name\ni1,Cup\n"
    )

    refused = await caller.refusal(location)
    accepted = await caller.accepted(location, kind="items")
    as_users = await caller.accepted(location, kind="users")

    assert refused[:2] == (400, "UnusableFile")
    assert (await shop.run(accepted["id"])).changes == {"items": 1}
    assert as_users["id"] != accepted["id"]


async def test_an_upload_is_one_import_whether_it_is_announced_or_named(
    shop: Shop, caller: Caller, s3: ObjectStore
) -> None:
    bucket = shop.files.uploads_bucket
    location = await put(s3, bucket, f"{TENANT}/orders.csv", ORDERS)

    await shop.handlers.objects_created([a_notice(bucket, f"{TENANT}/orders.csv")])
    named = await caller.accepted(location)
    await Sweep(shop.imports, shop.files).sweep()

    assert [row["id"] for row in await shop.rows("SELECT id FROM imports")] == [named["id"]]


async def test_nobody_reads_what_belongs_to_others(
    shop: Shop, caller: Caller, s3: ObjectStore, database: Database
) -> None:
    await allow(database, TENANT, "*")
    await allow(database, OTHER, caller.lake, "exports/")
    foreign = await put(s3, shop.files.uploads_bucket, f"{OTHER}/orders.csv", ORDERS)
    outside = await put(s3, caller.lake, "exports-2/orders.csv", ORDERS)

    refusals = [
        await caller.refusal(foreign),
        await caller.refusal(f"s3://{shop.files.uploads_bucket}/orders.csv"),
        await caller.refusal(f"s3://{shop.files.uploads_bucket}/{TENANT}/../{OTHER}/orders.csv"),
        await caller.refusal(f"s3://endcap-data/{TENANT}/imports/orders.csv"),
        await caller.refusal(outside, OTHER),
    ]

    assert [(status, code) for status, code, _ in refusals] == [
        (403, "ObjectNotAllowed"),
        (403, "ObjectNotAllowed"),
        (400, "UnusableFile"),
        (403, "ObjectNotAllowed"),
        (403, "ObjectNotAllowed"),
    ]
    assert f"buckets allow --tenant {OTHER} s3://{caller.lake}/" in refusals[-1][2]
    assert await shop.rows("SELECT id FROM imports") == []


async def test_tenants_that_share_a_bucket_have_imports_of_their_own(
    shop: Shop, caller: Caller, s3: ObjectStore, database: Database
) -> None:
    location = await put(s3, caller.lake, "orders.csv", ORDERS)
    for tenant in (TENANT, OTHER):
        await allow(database, tenant, caller.lake)

    own, others = await caller.accepted(location), await caller.accepted(location, OTHER)

    assert own["id"] != others["id"]
    rows = await shop.rows("SELECT id, tenant FROM imports")
    assert {row["tenant"]: row["id"] for row in rows} == {TENANT: own["id"], OTHER: others["id"]}


async def test_an_object_that_does_not_exist_and_a_wrong_body_are_refused(
    shop: Shop, caller: Caller, database: Database
) -> None:
    await allow(database, TENANT, "*")
    uploads = f"s3://{shop.files.uploads_bucket}/{TENANT}"

    assert await caller.refusal(f"{uploads}/orders.csv") == (
        404,
        "UnknownObject",
        f"There is no object {uploads}/orders.csv.",
    )
    assert (await caller.refusal("s3://no-such-bucket-at-all/orders.csv"))[:2] == (404, "UnknownObject")
    assert (await caller.refusal(f"{uploads}/orders.jsonl"))[:2] == (400, "UnusableFile")
    assert (await caller.post(f"{uploads}/orders.csv", kind="things")).status_code == 400
    assert (await caller.post(f"{uploads}/orders.csv", more="x")).status_code == 400
    assert (await caller.post("")).status_code == 400


async def test_an_import_fails_for_good_unless_a_dependency_was_away(
    shop: Shop, caller: Caller, s3: ObjectStore
) -> None:
    location = await put(s3, shop.files.uploads_bucket, f"{TENANT}/items.csv", b"no,such,columns\n1,2,3\n")
    importer = shop.importer()
    first = (await caller.accepted(location))["id"]

    await importer.failed(a_job(first, shop.pool), "it has no column item_id")
    assert await caller.accepted(location) == {"id": first, "kind": "items", "status": "failed"}

    await shop.pool.execute("UPDATE imports SET outage = true")
    second = await caller.accepted(location)
    assert (second["id"] != first, second["status"]) == (True, "queued")


async def test_too_many_imports_wait_but_one_that_exists_is_named(
    shop: Shop, caller: Caller, s3: ObjectStore
) -> None:
    locations = [
        await put(s3, shop.files.uploads_bucket, f"{TENANT}/orders-{n}.csv", ORDERS) for n in range(3)
    ]
    first, _ = [await caller.accepted(location) for location in locations[:2]]

    full = await caller.post(locations[2])

    assert (full.status_code, full.json()["error"], full.headers["retry-after"]) == (
        429,
        "TooManyImports",
        "60",
    )
    assert await caller.accepted(locations[0]) == first


async def test_the_request_for_a_training_names_the_import_that_ended_last(
    shop: Shop, caller: Caller, s3: ObjectStore
) -> None:
    """It is the one that counts as relayed only when the request and the events of all are published."""
    posted = await shop.post("orders", ORDERS)
    location = await put(s3, shop.files.uploads_bucket, f"{TENANT}/items.csv", b"item_id,name\ni1,Cup\n")
    named = (await caller.accepted(location))["id"]
    # The clock of the transaction that ended last may have stopped before that of the other.
    await shop.run(posted)
    await shop.pool.execute(
        "UPDATE imports SET finished_at = now() + interval '1 hour' WHERE id = $1", posted
    )

    await shop.run(named)

    (request,) = await shop.published("training-requests-v1")
    assert request["import_id"] == named
