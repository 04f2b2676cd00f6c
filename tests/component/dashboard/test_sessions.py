"""Sessions on a real Postgres: they begin with a key, and end with it."""

from __future__ import annotations

import re

import asyncpg
import httpx
import pytest

from shared.auth import hash_key
from tests.support.stack import Database
from tests.support.tenants import Tenant


async def sign_in(client: httpx.AsyncClient, key: str, name: str = "") -> httpx.Response:
    return await client.post("/dashboard/sign-in", data={"key": key, "name": name, "to": "/dashboard/system"})


async def test_a_key_opens_the_dashboard_with_its_role(client: httpx.AsyncClient, shop: Tenant) -> None:
    answer = await sign_in(client, shop.admin, "Mehak")
    page = await client.get(answer.headers["location"])

    assert answer.status_code == 303
    assert answer.headers["location"] == "/dashboard/system"
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/dashboard"} <= set(cookie.split("; "))
    assert page.status_code == 200
    assert re.search(r"Mehak \(key \w+\)", page.text)
    assert "admin of default" in page.text


async def test_a_page_without_any_other_service_says_so(client: httpx.AsyncClient, shop: Tenant) -> None:
    await sign_in(client, shop.read)

    page = await client.get("/dashboard/system")

    assert page.status_code == 200
    assert page.text.count("does not answer") >= 15


@pytest.mark.parametrize("kind", ["ingest", "catalogue", "access_key_id"])
async def test_keys_that_may_not_read_do_not_open_it(
    client: httpx.AsyncClient, shop: Tenant, kind: str
) -> None:
    answer = await sign_in(client, getattr(shop, kind))

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


async def test_a_key_of_web_pages_does_not_open_it(
    client: httpx.AsyncClient, shop: Tenant, module_database: Database
) -> None:
    connection = await asyncpg.connect(module_database.url, server_settings={"search_path": "engine"})
    await connection.execute(
        "INSERT INTO keys (id, key_hash, kind, tenant, scopes, label, allowed_origins) "
        "VALUES ('page', $1, 'key', $2, '{read}', '', '{https://shop.example}')",
        hash_key("ek_page"),
        shop.name,
    )
    await connection.close()

    assert (await sign_in(client, "ek_page")).status_code == 401


async def test_a_session_ends_with_its_key_and_with_the_sign_out(
    client: httpx.AsyncClient, site: httpx.ASGITransport, shop: Tenant, module_database: Database
) -> None:
    connection = await asyncpg.connect(module_database.url, server_settings={"search_path": "engine"})
    key = "ek_admin_that_will_be_revoked"
    await connection.execute(
        "INSERT INTO keys (id, key_hash, kind, tenant, scopes, label) "
        "VALUES ('soon', $1, 'key', $2, '{read,admin}', '')",
        hash_key(key),
        shop.name,
    )
    await sign_in(client, key)
    before = await client.get("/dashboard/audit")

    await connection.execute("UPDATE keys SET scopes = '{read}' WHERE id = 'soon'")
    demoted = await client.get("/dashboard/audit")
    await connection.execute("DELETE FROM keys WHERE id = 'soon'")
    revoked = await client.get("/dashboard/audit")
    await connection.close()

    assert [answer.status_code for answer in (before, demoted, revoked)] == [200, 403, 303]

    async with httpx.AsyncClient(transport=site, base_url="https://shop.example") as other:
        await sign_in(other, shop.admin)
        page = await other.get("/dashboard/audit")
        cookie = dict(other.cookies)
        csrf = re.search(r'name="csrf" value="(\w+)"', page.text)
        assert csrf is not None
        await other.post("/dashboard/sign-out", data={"csrf": csrf[1]})
        other.cookies.update(cookie)
        stolen = await other.get("/dashboard/audit")

    assert stolen.status_code == 303


async def test_programs_read_the_audit_log_of_their_tenant_alone(
    client: httpx.AsyncClient, shop: Tenant, module_database: Database
) -> None:
    connection = await asyncpg.connect(module_database.url, server_settings={"search_path": "dashboard"})
    await connection.executemany(
        "INSERT INTO audit_log (tenant, person, role, action, target, after, outcome) "
        "VALUES ($1, 'ann', 'admin', 'save placement', $2, '{\"limit\": 4}', 'done')",
        [(shop.name, "home"), (shop.name, "cart"), ("elsewhere", "home")],
    )
    await connection.close()

    newest = await client.get("/v1/audit", params={"limit": 1}, headers={"x-api-key": shop.admin})
    older = await client.get(
        "/v1/audit", params={"before": newest.json()[0]["id"]}, headers={"x-api-key": shop.admin}
    )
    refused = await client.get("/v1/audit", headers={"x-api-key": shop.read})

    assert [(entry["target"], entry["after"]) for entry in newest.json()] == [("cart", {"limit": 4})]
    assert [entry["target"] for entry in older.json()] == ["home"]
    assert refused.status_code == 403
