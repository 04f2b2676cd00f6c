"""CORS: which pages may read the answers of the services that browsers call."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest

from shared.auth import hash_key, new_api_key
from shared.postgres import Database

BROWSER_FACING = {
    "tracker": ("/v1/events", "POST"),
    "recommender": ("/api/v1/personalize/recommendations/u1", "GET"),
    "router": ("/api/v1/personalize/recommendations/u1", "GET"),
}
PAGE = "https://shop.example"
KEY = new_api_key("read")


async def keys(_: Database, __: str, hashed: bytes) -> dict[str, Any]:
    assert hashed == hash_key(KEY)
    return {
        "tenant": "default",
        "scopes": ["read"],
        "kind": "key",
        "expires_at": None,
        "allowed_origins": [PAGE],
        "requires_origin": False,
    }


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setattr(Database, "fetchrow", keys)
    return monkeypatch


def client(service: str) -> httpx.AsyncClient:
    settings = import_module(f"services.{service}.settings").Settings()
    serving = import_module(f"services.{service}.app").build(settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(serving), base_url="http://test")


async def preflight(service: str, origin: str) -> httpx.Response:
    path, method = BROWSER_FACING[service]
    asked = {
        "access-control-request-method": method,
        "access-control-request-headers": "x-api-key,content-type",
    }
    async with client(service) as http:
        return await http.options(path, headers={"origin": origin, **asked})


@pytest.mark.parametrize("service", BROWSER_FACING)
async def test_a_preflight_is_answered(service: str, environment: pytest.MonkeyPatch) -> None:
    answer = await preflight(service, PAGE)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert BROWSER_FACING[service][1] in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "x-api-key,content-type"


@pytest.mark.parametrize("service", BROWSER_FACING)
@pytest.mark.parametrize("variable", ["CORS_ORIGINS", "{}_CORS_ORIGINS"])
async def test_one_setting_says_which_pages(
    service: str, variable: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(variable.format(service.upper()), f'["{PAGE}"]')
    allowed, refused = await preflight(service, PAGE), await preflight(service, "https://evil.example")

    assert (allowed.status_code, refused.status_code) == (200, 400)
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("service", BROWSER_FACING)
async def test_without_origins_there_is_no_cors(service: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CORS_ORIGINS", "[]")

    answer = await preflight(service, PAGE)

    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("service", BROWSER_FACING)
async def test_a_page_reads_answers_and_their_headers(service: str, environment: pytest.MonkeyPatch) -> None:
    path, method = BROWSER_FACING[service]
    async with client(service) as http:
        answer = await http.request(method, path, headers={"origin": PAGE})
        no_page = await http.request(method, path)

    assert answer.status_code == no_page.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert {"x-recs-source", "x-experiment", "x-variant", "retry-after"} <= exposed
    assert not [name for name in no_page.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("service", BROWSER_FACING)
async def test_a_page_of_another_origin_than_its_key_reads_nothing(
    service: str, environment: pytest.MonkeyPatch
) -> None:
    path, method = BROWSER_FACING[service]
    async with client(service) as http:
        for _ in range(2):  # the key is looked up, then remembered
            answer = await http.request(
                method, path, headers={"origin": "https://evil.example", "x-api-key": KEY}
            )
            assert (answer.status_code, answer.json()["error"]) == (403, "OriginNotAllowed")
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("service", ["sync", "trainer", "loader", "engine"])
async def test_services_for_people_and_programs_have_no_cors(service: str) -> None:
    async with client(service) as http:
        answer = await http.options(
            "/livez", headers={"origin": PAGE, "access-control-request-method": "GET"}
        )

    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers
