"""Pages of a shop that use the storefront kit, on the running product."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.product import Endcap
from tests.support.site import Site, serving_site
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="session")
async def site() -> AsyncIterator[Site]:
    """Yield the site whose pages tests write; one for the run, on an origin of its own."""
    async with serving_site() as running:
        yield running


@pytest.fixture(scope="session")
def storefront_key(endcap: Endcap, site: Site) -> str:
    """Return a key for the pages of the site."""
    answer = httpx.post(
        f"{endcap.urls['engine']}/v1/keys",
        json={"kind": "storefront", "allowed_origins": [site.url], "requires_origin": True},
        headers={"x-api-key": endcap.keys["admin"]},
        timeout=PATIENCE,
        trust_env=False,
    )
    answer.raise_for_status()
    return str(answer.json()["key"])


@pytest.fixture
def kit(endcap: Endcap, storefront_key: str) -> str:
    """Return the element that starts the kit, with the key and addresses of the product."""
    return kit_script(endcap, storefront_key)


@pytest.fixture
async def log(endcap: Endcap) -> AsyncIterator[EventLog]:
    """Yield a reader of the tracker's log."""
    async with httpx.AsyncClient(
        base_url=endcap.urls["tracker"],
        headers={"x-api-key": endcap.keys["read"]},
        timeout=PATIENCE,
        trust_env=False,
    ) as http:
        yield EventLog(http)


class EventLog:
    """Events that the tracker has stored."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def of(self, **subject: str) -> list[dict[str, Any]]:
        """Return the events of a user_id or session_id, oldest first."""
        answer = await self._http.get("/v1/events", params={**subject, "limit": 100})
        answer.raise_for_status()
        return list(reversed(answer.json()["events"]))


def kit_script(endcap: Endcap, key: str, **attributes: str) -> str:
    """Return the script element of the kit; `attributes` are its data attributes."""
    data = {
        "url": endcap.urls["recommender"],
        "events-url": endcap.urls["tracker"],
        "key": key,
        **attributes,
    }
    pairs = " ".join(f"data-{name}={json.dumps(text)}" for name, text in data.items())
    return f'<script src="/kit.js" {pairs}></script>'
