"""Which pages may send events with a key, and which answers they may read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.tracker.app import build
from services.tracker.settings import Settings
from shared.auth import hash_key, new_api_key
from shared.postgres import Database

# By name: each test process has other keys, and all must collect the same tests.
KEYS = {name: new_api_key("ingest") for name in ("bound", "free", "pages only")}
BOUND, FREE, PAGES_ONLY = KEYS
SHOP = "https://shop.example"
ORIGINS = {
    hash_key(KEYS[BOUND]): ([SHOP], False),
    hash_key(KEYS[FREE]): (None, False),
    hash_key(KEYS[PAGES_ONLY]): ([SHOP], True),
}
EVENTS = ("/v1/events", "/events")


async def keys(_: Database, __: str, hashed: bytes) -> dict[str, Any]:
    allowed, required = ORIGINS[hashed]
    return {
        "tenant": "default",
        "scopes": ["ingest"],
        "kind": "key",
        "expires_at": None,
        "allowed_origins": allowed,
        "requires_origin": required,
    }


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(Database, "fetchrow", keys)
    transport = httpx.ASGITransport(build(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://tracker") as client:
        yield client


async def post(client: httpx.AsyncClient, path: str, key: str, origin: str | None) -> httpx.Response:
    """Send no event: what is let in is a 400."""
    return await client.post(
        path, json=[], headers={"x-api-key": KEYS[key]} | ({} if origin is None else {"origin": origin})
    )


@pytest.mark.parametrize("path", EVENTS)
@pytest.mark.parametrize(
    ("key", "origin", "status"),
    [
        (BOUND, SHOP, 400),
        (BOUND, "HTTPS://Shop.Example", 400),
        (BOUND, None, 400),
        (BOUND, "https://evil.example", 403),
        (BOUND, "https://shop.example.evil.example", 403),
        (BOUND, "http://shop.example", 403),
        (BOUND, "https://shop.example:8443", 403),
        (BOUND, "null", 403),
        (BOUND, "", 403),
        (PAGES_ONLY, SHOP, 400),
        (PAGES_ONLY, None, 403),
        (FREE, "https://evil.example", 400),
        (FREE, None, 400),
    ],
)
async def test_a_key_is_for_pages_of_its_origins(
    client: httpx.AsyncClient, path: str, key: str, origin: str | None, status: int
) -> None:
    first = await post(client, path, key, origin)
    remembered = await post(client, path, key, origin)

    for json_response in (first, remembered):
        assert json_response.status_code == status, json_response.text
        code = json_response.json().get("error", json_response.json().get("__type"))
        assert (code in {"OriginNotAllowed", "AccessDeniedException"}) == (status == 403)
        readable = "access-control-allow-origin" in json_response.headers
        assert readable == (status == 400 and origin is not None)


async def test_a_preflight_is_answered_by_the_settings(client: httpx.AsyncClient) -> None:
    json_response = await client.options(
        "/v1/events",
        headers={
            "origin": "https://evil.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "x-api-key",
        },
    )

    assert (json_response.status_code, json_response.headers["access-control-allow-origin"]) == (200, "*")
