"""The shop before an Endcap that answers from memory, and can be taken away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from examples.shop.app import build
from examples.shop.settings import Settings

NAME = 'Mug <b onclick="x">&'
USER = {"user_id": "c-1", "name": "<i>Ada</i> Baker", "city": "London", "country": None}


def item(item_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "item_id": item_id, "name": NAME, "category": "Dining|<Table>", "price": 12.5, "currency": "EUR",
        "available": True, "attributes": {"design": "<u>Oak"}, **fields,
    }  # fmt: skip


LINE = {"product_name": NAME, "category": "<Table>"}
ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/events": {"accepted": 1, "rejected": 0},
    "/v1/items": {"items": [item("i-1")], "total": 60},
    "/v1/items/gone": item("gone", available=False),
    "/v1/items/i-1": item("i-1"),
    "/v1/items/i-2": item("i-2"),
    "/v1/categories": {"categories": [{"name": "<Table>", "items": 2}]},
    "/v1/users": {"users": [USER]},
    "/v1/users/c-1": USER,
    "/v1/orders": {"orders": [{"kind": "order", "lines": [LINE, LINE]}]},
    "/api/v1/placements/home": {
        "recommendations": [{"product_id": "i-1", "product_name": NAME, "price": 12.5}]
    },
}


@dataclass
class FakeEndcap:
    """Answers of the public API. `away` answers every request with 503."""

    away: bool = False
    events: list[list[dict[str, Any]]] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.away:
            return httpx.Response(503, json={"error": "Unavailable"})
        path = request.url.path
        if path == "/v1/events":
            self.events.append(json.loads(request.content))
        body = ANSWERS.get(path)
        return (
            httpx.Response(404, json={"error": "Unknown"}) if body is None else httpx.Response(200, json=body)
        )


@pytest.fixture
def endcap() -> FakeEndcap:
    return FakeEndcap()


@pytest.fixture
async def shop(endcap: FakeEndcap) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without scripts, at the home page of the shop."""
    settings = Settings(
        session_key=SecretStr("x" * 32), storefront_key=SecretStr("storefront"), read_key=SecretStr("read")
    )
    transport = httpx.ASGITransport(build(settings, httpx.MockTransport(endcap)))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://shop.test/shop/", follow_redirects=True
    ) as browser:
        yield browser
