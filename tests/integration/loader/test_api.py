"""The loader over HTTP: who may do what, and what a person is told."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.loader.conftest import Loader
from tests.support.batches import Batch, batch_line
from tests.support.stack import Database
from tests.support.tenants import Tenant, make_tenant

ITEMS = ["item-1", "item-2"]


def a_batch(run: int, lists: int = 4, *, bad: int = 0) -> Batch:
    lines = [batch_line("user-personalization", f"user-{number}", ITEMS) for number in range(lists)]
    lines += [batch_line("user-personalization", "x", [], error="unknown user")] * bad
    return Batch(run, {"user-personalization": lines, "popularity": [batch_line("popularity", "all", ITEMS)]})


async def test_generations_are_listed_with_what_was_refused(
    loader: Loader, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    await loader.load(a_batch(1))
    await loader.load(a_batch(2, bad=1))
    answer = await http.get("/v1/generations", headers={"x-api-key": tenant.read})

    assert answer.status_code == 200
    second, first = answer.json()["generations"]
    assert (first["generation"], first["status"], first["active"], first["rows"]) == (1, "loaded", True, 5)
    assert [(recipe["recipe"], recipe["rows"], recipe["active"]) for recipe in first["recipes"]] == [
        ("popularity", 1, True),
        ("user-personalization", 4, True),
    ]
    assert (second["status"], second["active"]) == ("refused", False)
    assert "1 of 5 lines of user-personalization can't be used" in second["reason"]
    one = await http.get("/v1/generations/2", headers={"x-api-key": tenant.read})
    assert one.json()["rejected_lines"][0]["line"] == 5


async def test_going_back_and_insisting(loader: Loader, http: httpx.AsyncClient, tenant: Tenant) -> None:
    headers = {"x-api-key": tenant.admin}
    await loader.load(a_batch(1))
    await loader.load(a_batch(2))
    await loader.load(a_batch(3, bad=1))

    back = await http.post("/v1/generations/1/activate", headers=headers)
    assert (back.status_code, back.json()["activation"]) == (200, 3)
    assert set(back.json()["generations"].values()) == {1}

    refused = await http.post("/v1/generations/3/activate", headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (409, "NotLoaded")
    assert '{"force": true}' in refused.json()["detail"]

    forced = await http.post("/v1/generations/3/activate", headers=headers, json={"force": True})
    assert (forced.status_code, forced.json()["status"]) == (202, "loading")
    await loader.work()
    assert set((await loader.active()).values()) == {3}


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        (None, "GET", "/v1/generations", 401),
        ("ingest", "GET", "/v1/generations", 403),
        ("read", "POST", "/v1/generations/1/activate", 403),
        ("read", "GET", "/v1/generations/99", 404),
        ("admin", "POST", "/v1/generations/99/activate", 404),
        ("read", "GET", "/v1/generations/nine", 400),
        ("admin", "POST", "/v1/generations/0/activate", 400),
    ],
)
async def test_a_request_without_the_scope_is_refused_with_a_reason(
    http: httpx.AsyncClient, tenant: Tenant, scope: str | None, method: str, path: str, status: int
) -> None:
    headers = {"x-api-key": getattr(tenant, scope)} if scope else {}
    answer = await http.request(method, path, headers=headers)

    assert answer.status_code == status
    assert answer.json().keys() == {"error", "detail"}


async def test_a_tenant_sees_its_own_generations_only(
    loader: Loader, http: httpx.AsyncClient, tenant: Tenant, database: Database
) -> None:
    other = await make_tenant(database, "other", "111122223333")
    await loader.load(a_batch(1))

    listed = await http.get("/v1/generations", headers={"x-api-key": other.read})
    shown = await http.get("/v1/generations/1", headers={"x-api-key": other.read})

    assert (listed.json(), shown.status_code) == ({"generations": []}, 404)


async def test_the_served_lists_are_described_as_tables(
    loader: Loader, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    async def call(operation: str, **body: str) -> httpx.Response:
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}", "x-api-key": tenant.read}
        return await http.post("/", json=body, headers=headers)

    before = await call("DescribeTable", TableName="recommendations")
    await loader.load(a_batch(1))

    whole = (await call("DescribeTable", TableName="prod-recommendations")).json()["Table"]
    users = (await call("DescribeTable", TableName="user-personalization")).json()["Table"]
    names = (await call("ListTables")).json()["TableNames"]
    unknown, query = await call("DescribeTable", TableName="orders"), await call("Query", TableName="x")

    assert before.json()["__type"] == unknown.json()["__type"] == "ResourceNotFoundException"
    assert (whole["TableStatus"], whole["ItemCount"] >= users["ItemCount"] > 0) == ("ACTIVE", True)
    assert whole["TableSizeBytes"] >= users["TableSizeBytes"] > 0
    assert users["KeySchema"] == [{"AttributeName": "userId", "KeyType": "HASH"}]
    assert {"recommendations", "user-personalization"} <= set(names)
    assert query.json()["__type"] == "UnsupportedOperationException"
