"""Pages of a shop that use the storefront kit, on the running product."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from shared.events import ItemPut
from shared.events.topics import PUTS
from shared.kafka import Producer, encoded
from tests.support.browser import Chromium
from tests.support.kafka import settings_for
from tests.support.product import Endcap
from tests.support.shop import Shop
from tests.support.site import Site, serving_site
from tests.support.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, StorageState


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


@pytest.fixture
def address(shop: Shop) -> str:
    """Return the address of the demo shop, over the catalogue of the loaded shop."""
    return f"{shop.endcap.environment['ENDCAP_URL']}/shop"


@dataclass(frozen=True)
class Dashboard:
    """The dashboard behind the gateway, and the cookies of an administrator who signed in."""

    address: str
    session: StorageState | None = None

    async def sign_in(self, page: Page, key: str) -> None:
        """Sign in with an API key, and wait for the first page."""
        await page.goto(f"{self.address}/sign-in")
        await page.get_by_label("API key").fill(key)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Overview").wait_for()


@pytest.fixture(scope="session")
async def dashboard(browser: Browser, shop: Shop) -> Dashboard:
    """Return the dashboard; one sign-in for the run, since attempts are limited."""
    dashboard = Dashboard(f"{shop.endcap.environment['ENDCAP_URL']}/dashboard")
    context = await browser.new_context()
    await dashboard.sign_in(await context.new_page(), shop.endcap.keys["admin"])
    session = await context.storage_state()
    await context.close()
    return replace(dashboard, session=session)


@pytest.fixture
async def admin(chromium: Chromium, dashboard: Dashboard) -> AsyncIterator[Page]:
    """Yield a page of a signed-in administrator, who confirms every question."""
    async with chromium.context(storage_state=dashboard.session) as profile:
        page = await profile.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        yield page


@pytest.fixture(scope="session")
async def dead_letter(shop: Shop) -> str:
    """Return the id of a dead letter of sync: a put with a time that Postgres can't store."""
    event = ItemPut(
        event_id=str(uuid.uuid4()),
        tenant="default",
        occurred_at=datetime.now(UTC),
        item_id="late",
        fields={"created_at": "9999-12-31T23:59:59-14:00"},
    )
    producer = Producer(settings_for(shop.endcap.stack.environment), "test")
    await producer.deliver(PUTS.name, [encoded(event, "tracker", "")], PATIENCE)
    await producer.stop()
    letters = await eventually(
        lambda: shop.get("engine", "/v1/dead-letters", params={"topic": PUTS.name})["dead_letters"],
        "the put is a dead letter",
    )
    return str(letters[0]["id"])


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
