"""`/v1/keys`: the API keys of a tenant, by its administrators, in process on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from asgi_lifespan import LifespanManager

from services.engine import app
from services.engine.settings import Settings
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant, make_tenant

MOST = 6


@pytest.fixture(scope="module")
async def tenants(module_database: Database) -> tuple[Tenant, Tenant]:
    return await make_tenant(module_database), await make_tenant(module_database, "other")


@pytest.fixture(scope="module")
async def http(module_database: Database) -> AsyncIterator[httpx.AsyncClient]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_database.environment.items():
            patch.setenv(name, value)
        patch.setenv("ENDCAP_SECRET_KEY", SECRET_KEY)
        patch.setenv("ENDCAP_SERVICE_KEY", SERVICE_KEY)
        application = app.build(Settings(max_keys=MOST))
    async with (
        LifespanManager(application) as running,
        httpx.AsyncClient(transport=httpx.ASGITransport(running.app), base_url="http://engine") as client,
    ):
        yield client


def key(value: str) -> dict[str, str]:
    return {"x-api-key": value}


async def test_a_key_is_created_listed_rotated_and_revoked(
    http: httpx.AsyncClient, tenants: tuple[Tenant, Tenant]
) -> None:
    shop, other = tenants
    new = {
        "kind": "ingest",
        "label": "page",
        "expires": "7d",
        "allowed_origins": ["https://Shop.example:443/"],
    }
    created = await http.post("/v1/keys", json=new, headers=key(shop.admin))
    identifier = created.json()["id"]
    path = f"/v1/keys/{identifier}"

    foreign = [
        await http.post(f"{path}/rotate", headers=key(other.admin)),
        await http.delete(path, headers=key(other.admin)),
    ]
    rotated = await http.post(f"{path}/rotate", json={"hours": 2}, headers=key(shop.admin))
    listed = (await http.get("/v1/keys", headers=key(shop.admin))).json()["keys"]
    revoked = [await http.delete(path, headers=key(shop.admin)) for _ in range(2)]

    assert (created.status_code, rotated.status_code) == (201, 201)
    assert created.headers["cache-control"] == "no-store"
    assert [answer.status_code for answer in (*foreign, *revoked)] == [404, 404, 204, 404]
    rows: dict[str, Any] = {row["id"]: row for row in listed}
    assert "key" not in rows[identifier]
    ends_at = datetime.fromisoformat(rows[identifier]["expires_at"])
    assert timedelta() < ends_at - datetime.now(UTC) <= timedelta(hours=2)
    successor = rows[rotated.json()["id"]]
    assert (successor["label"], successor["scopes"], successor["expires_at"]) == ("page", ["ingest"], None)
    assert successor["allowed_origins"] == ["https://shop.example"]


async def test_a_key_with_scopes_of_no_kind_is_listed_and_rotated(
    http: httpx.AsyncClient, tenants: tuple[Tenant, Tenant], module_database: Database
) -> None:
    """Kinds change with versions, and keys stay."""
    created = await http.post("/v1/keys", json={"kind": "read"}, headers=key(tenants[1].admin))
    identifier = created.json()["id"]
    connection = await asyncpg.connect(module_database.url)
    await connection.execute(
        "UPDATE engine.keys SET scopes = $1 WHERE id = $2", ["read", "catalogue"], identifier
    )
    await connection.close()

    listed = await http.get("/v1/keys", headers=key(tenants[1].admin))
    rotated = await http.post(f"/v1/keys/{identifier}/rotate", headers=key(tenants[1].admin))
    await http.delete(f"/v1/keys/{rotated.json()['id']}", headers=key(tenants[1].admin))
    await http.delete(f"/v1/keys/{identifier}", headers=key(tenants[1].admin))

    kinds = {row["id"]: row["kind"] for row in listed.json()["keys"]}
    assert kinds[identifier] == "custom"
    assert (rotated.status_code, rotated.json()["kind"]) == (201, "custom")
    assert rotated.json()["scopes"] == ["read", "catalogue"]


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "service"},
        {"kind": "read", "expires": "soon"},
        {"kind": "read", "allowed_origins": ["shop"]},
        {"kind": "read", "requires_origin": True},
        {"kind": "read", "scopes": ["admin"]},
        {"kind": "storefront"},
    ],
)
async def test_a_key_that_cannot_be_made_is_refused(
    http: httpx.AsyncClient, tenants: tuple[Tenant, Tenant], body: dict[str, Any]
) -> None:
    answer = await http.post("/v1/keys", json=body, headers=key(tenants[0].admin))

    assert answer.status_code == 400, answer.text


async def test_a_tenant_has_a_limited_number_of_keys(
    http: httpx.AsyncClient, tenants: tuple[Tenant, Tenant]
) -> None:
    _, other = tenants
    answers = [
        await http.post("/v1/keys", json={"kind": "read"}, headers=key(other.admin)) for _ in range(MOST)
    ]
    statuses = [answer.status_code for answer in answers]

    assert statuses == [201, 201, 409, 409, 409, 409]  # four keys were there
    assert answers[-1].json()["error"] == "LimitExceeded"
