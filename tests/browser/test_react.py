"""The kit's example with React, built from its sources, on a shop that was loaded, trained and served."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Page, Request

from tests.browser.conftest import EventLog
from tests.support.processes import ROOT
from tests.support.product import Endcap
from tests.support.shop import Shop
from tests.support.site import Site
from tests.support.waiting import PATIENCE, eventually

FOLDER = ROOT / "examples" / "storefront"


@pytest.fixture
def address(site: Site, endcap: Endcap, storefront_key: str, tmp_path: Path) -> str:
    """Build the page for the product behind its gateway; return its address."""
    vite = ["node_modules/vite/bin/vite.js", "build", "--config", "test/react.config.ts", "--outDir"]
    subprocess.run(
        [ROOT / ".local" / "bin" / "node", *vite, tmp_path, "--logLevel", "error"],
        cwd=FOLDER,
        env={
            **os.environ,
            "VITE_ENDCAP_URL": endcap.environment["ENDCAP_URL"],
            "VITE_ENDCAP_KEY": storefront_key,
        },
        check=True,
        timeout=PATIENCE,
    )
    site.folder = tmp_path
    return f"{site.url}/index.html"


async def test_the_list_of_a_product_follows_the_route(
    page: Page, address: str, shop: Shop, log: EventLog
) -> None:
    requested: list[str] = []

    def record(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/api/v1/pages"):
            [placement] = json.loads(request.post_data or "")["placements"]
            requested.append(placement["item_id"])

    page.on("request", record)
    await page.goto(address)
    rows = page.locator("endcap-recommendations li[data-item]")
    await rows.first.wait_for()
    await page.get_by_role("button", name="Add to cart").click()
    await page.evaluate("location.hash = 'p-13'")
    await page.get_by_role("heading", name="Tea pot").wait_for()
    await eventually(lambda: requested, enough=lambda ids: ids == ["p-12", "p-13"])
    await rows.first.wait_for()

    session = await page.evaluate("localStorage.getItem('endcap.session')")
    events = await eventually(
        lambda: log.of(session_id=session),
        "the events are stored",
        enough=lambda events: {"p-13"} <= {event["item_id"] for event in events},
    )
    kinds = [
        (event["event_type"], event["item_id"]) for event in events if event["item_id"] in {"p-12", "p-13"}
    ]
    assert kinds == [("view", "p-12"), ("add_to_cart", "p-12"), ("view", "p-13")]
