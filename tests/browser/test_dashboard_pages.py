"""Every page of the dashboard in both schemes and two widths: accessible, calm, and without errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import Dashboard
from tests.support.browser import Chromium, layout_shifts, serious_findings
from tests.support.shop import Shop

if TYPE_CHECKING:
    from playwright.async_api import Page

ITEM = "i-0241"
PAGES = (
    "overview?range=7d&placement=home",
    "live",
    "reports?range=all",
    "customers",
    "customers?user_id={user}",
    "customers/similar?user_id={user}",
    "items?search=mug",
    f"items?id={ITEM}",
    "placements",
    "placements/home",
    "training",
    "training/runs/{generation}",
    "training/generations/{generation}",
    "training/compare?a={generation}&b={generation}",
    "schedules",
    "data",
    "data/imports/{import_}",
    "data/dead-letters",
    "data/dead-letters/{letter}",
    "experiments",
    "sql",
    "quality",
    "sources",
    "rules",
    "system",
    "keys",
    "audit",
    "answers/{answer}",
)
"""The addresses of pages below the root, with the values that `names` reads."""
VIEWS = (
    ("light", 1280, PAGES),
    ("dark", 390, PAGES),
    ("light", 390, PAGES[:1]),
    ("dark", 1280, PAGES[:1]),
)
"""Each scheme and each width once: a scheme changes only colours (tests/unit/dashboard/test_schemes.py)."""


def names(shop: Shop) -> dict[str, Any]:
    """Return a customer, the newest generation, an answer, and an import."""
    user = shop.buyer()
    answer = shop.get("recommender", "/api/v1/placements/home", key="read", params={"user_id": user})
    generations = shop.get("loader", "/v1/generations", params={"limit": 1})["generations"]
    imports = shop.get("sync", "/v1/imports", params={"limit": 1})["imports"]
    return {
        "user": user,
        "import_": imports[0]["id"],
        "generation": generations[0]["generation"],
        "answer": answer["recommendation_id"],
    }


async def faults(page: Page) -> dict[str, Any]:
    """Return what is wrong with the page: findings of axe, its shifts, and whether it is too wide."""
    wrong = {
        "findings": await serious_findings(page),
        "shifts": [shift for shift in await layout_shifts(page) if shift["value"] >= 0.01],
        "wide": await page.evaluate("document.documentElement.scrollWidth - innerWidth > 0"),
    }
    return {name: value for name, value in wrong.items() if value}


@pytest.mark.parametrize(("scheme", "width", "pages"), VIEWS)
async def test_pages_are_accessible_and_calm(
    chromium: Chromium,
    dashboard: Dashboard,
    shop: Shop,
    dead_letter: str,
    scheme: Any,
    width: int,
    pages: tuple[str, ...],
) -> None:
    values, wrong = names(shop) | {"letter": dead_letter}, {}
    async with chromium.context(scheme=scheme, width=width, storage_state=dashboard.session) as profile:
        page = await profile.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
        for path in pages:
            await page.goto(f"{dashboard.address}/{path.format(**values)}")
            await page.get_by_role("heading", level=1).wait_for()
            if problems := await faults(page):
                wrong[path] = problems

    assert (wrong, refused) == ({}, [])
