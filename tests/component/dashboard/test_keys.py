"""Keys on the engine's API and a real Postgres: created, rotated and revoked in the dashboard."""

from __future__ import annotations

import re

import httpx

from services.engine import app as engine
from services.engine.settings import Settings as EngineSettings
from tests.component.dashboard.conftest import beside
from tests.support.stack import Database
from tests.support.tenants import Tenant


def field(page: httpx.Response, pattern: str) -> str:
    match = re.search(pattern, page.text)
    assert match is not None, page.text
    return match[1]


def secret(page: httpx.Response) -> str:
    return field(page, r'class="secret"><code>(\w+)</code>')


async def may_sign_in(client: httpx.AsyncClient, key: str) -> bool:
    return (await client.post("/dashboard/sign-in", data={"key": key})).status_code == 303


async def test_a_key_lives_from_its_form_to_its_revocation(module_database: Database, shop: Tenant) -> None:
    async with beside(module_database, lambda: engine.build(EngineSettings())) as client:
        await may_sign_in(client, shop.admin)
        csrf = {"csrf": field(await client.get("/dashboard/keys"), r'name="csrf" value="(\w+)"')}
        form = {"kind": "read", "label": "for Mehak", "expires": "30d"}
        created = await client.post("/dashboard/keys", data=form | csrf)
        identifier = field(created, r"keys/(\w+)/rotate")
        rotated = await client.post(f"/dashboard/keys/{identifier}/rotate", data=csrf)
        revoked = await client.post(f"/dashboard/keys/{identifier}/revoke", data=csrf)
        audit = await client.get("/v1/audit", headers={"x-api-key": shop.admin})
        keys = (secret(created), secret(rotated))
        signed_in = [await may_sign_in(client, key) for key in keys]

        await may_sign_in(client, shop.admin)
        csrf = {"csrf": field(await client.get("/dashboard/keys"), r'name="csrf" value="(\w+)"')}
        created = await client.post("/dashboard/keys", data={"kind": "merchandiser", "label": "Ann"} | csrf)
        await may_sign_in(client, secret(created))
        page = await client.get("/dashboard/placements")

    assert revoked.status_code == 303
    assert signed_in == [False, True]
    assert "merchandiser of default" in page.text
    assert "Define it" in page.text
    assert [(entry["action"], entry["outcome"]) for entry in audit.json()[:3]] == [
        ("revoke key", "done"),
        ("rotate key", "done"),
        ("create key", "done"),
    ]
    assert not any(key in audit.text for key in keys)
