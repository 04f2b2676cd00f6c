"""`python -m tests.browser.screenshots shop|dashboard [URL]`: take the pictures in docs/images.

Endcap runs, for example by `make run`, and has answered visitors; URL is the address of its gateway. The
dashboard needs ENDCAP_ADMIN_KEY, as `make env` prints it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.support.browser import chromium_program

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
MAX_BYTES = 200_000
SIZES = {"shop": {"width": 1040, "height": 680}, "dashboard": {"width": 1280, "height": 860}}
PHONE = {"width": 390, "height": 720}
ITEMS = ("i-0241", "i-0030")

CUSTOMER = "c-0001"
PHONES = {"shop": "", "dashboard": "overview"}
"""The pages that are also taken as on a phone."""

Scheme = Literal["light", "dark"]
Step = Callable[["Page", str], Awaitable[None]]


async def _go(page: Page, address: str) -> None:
    await page.goto(address)
    await page.wait_for_load_state("load")
    lists = page.locator("endcap-recommendations")
    for at in range(await lists.count()):
        await lists.nth(at).locator("li[data-item]").first.wait_for()


async def _fill_cart(page: Page, url: str) -> None:
    for item in ITEMS:
        await page.goto(f"{url}/products/{item}")
        await page.get_by_role("button", name="Add to cart").click()


async def _order(page: Page, url: str) -> None:
    await page.goto(f"{url}/checkout")
    await page.get_by_role("button", name="Place the order").click()
    await page.get_by_role("heading", name="Thank you").wait_for()


async def _drawer(page: Page, url: str) -> None:
    await _go(page, f"{url}/products/{ITEMS[0]}")
    await page.get_by_role("button", name="What happens behind").click()
    await page.locator(".drawer li.answer summary").first.click()


async def _log_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/login")
    await page.locator(".person").first.click()
    await _go(page, f"{url}/")


async def _sign_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/sign-in")
    await page.get_by_label("API key").fill(os.environ["ENDCAP_ADMIN_KEY"])
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Overview").wait_for()


async def _preview(page: Page, url: str) -> None:
    await page.goto(f"{url}/placements/home")
    await page.get_by_label("Pin the item").fill("Walnut Dinner Plate")
    await page.get_by_role("button", name="Pin", exact=True).click()
    await page.get_by_role("heading", name="Preview", exact=True).scroll_into_view_if_needed()


async def _experiment(page: Page, url: str) -> None:
    await page.goto(f"{url}/experiments")
    await page.locator("tbody th a").first.click()
    await page.get_by_role("heading", name="Results").wait_for()


async def _query(page: Page, url: str) -> None:
    await page.goto(f"{url}/sql")
    await page.get_by_role("link", name="Units by category").click()
    await page.get_by_role("button", name="Run").click()
    await page.get_by_role("heading", name="Result").wait_for()


async def _design(page: Page, url: str) -> None:
    await page.goto(f"{url}/experiments")
    form = page.locator("details", has_text="Define an experiment")
    if not await form.get_by_label("Name").first.is_visible():
        await form.locator("summary").click()
    await page.get_by_label("Design").select_option("bandit")


def _visit(path: str) -> Step:
    async def visit(page: Page, url: str) -> None:
        await _go(page, f"{url}{path}")

    return visit


SHOP: dict[str, Step] = {
    "home": _visit("/"),
    "category": _visit("/categories/Dining"),
    "search": _visit("/search?q=mug"),
    "product": _visit(f"/products/{ITEMS[0]}"),
    "drawer": _drawer,
    "login": _visit("/login"),
    "cart": _visit("/cart"),
    "checkout": _visit("/checkout"),
    "order": _order,
    "customer": _log_in,
}
"""The steps to the page of each picture, which one visitor takes in this order."""

DASHBOARD: dict[str, Step] = {
    "sign-in": _visit("/sign-in"),
    "overview": _sign_in,
    "live": _visit("/live"),
    "reports": _visit("/reports?range=all"),
    "customers": _visit("/customers"),
    "customer": _visit(f"/customers?user_id={CUSTOMER}"),
    "items": _visit("/items?search=mug"),
    "item": _visit(f"/items?id={ITEMS[0]}"),
    "placements": _visit("/placements"),
    "preview": _preview,
    "training": _visit("/training"),
    "run": _visit("/training/runs/1"),
    "quality": _visit("/quality"),
    "schedules": _visit("/schedules"),
    "design": _design,
    "experiment": _experiment,
    "sql": _query,
    "data": _visit("/data"),
    "sources": _visit("/sources"),
    "rules": _visit("/rules"),
    "system": _visit("/system"),
    "keys": _visit("/keys"),
    "audit": _visit("/audit"),
}

PAGES: dict[str, dict[str, Step]] = {"shop": SHOP, "dashboard": DASHBOARD}


async def _pictures(browser: Browser, site: str, url: str, scheme: Scheme) -> None:
    context = await browser.new_context(
        viewport=SIZES[site],  # type: ignore[arg-type]
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page = await context.new_page()
    if site == "shop":
        await _fill_cart(page, url)
    for name, reach in PAGES[site].items():
        await reach(page, url)
        await _save(page, f"{site}-{name}-{scheme}")
        if name == "drawer":
            await page.keyboard.press("Escape")
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await _go(page, f"{url}/{PHONES[site]}")
    await _save(page, f"{site}-phone-{scheme}")
    await context.close()


async def _save(page: Page, name: str) -> None:
    """Write the visible part of the page. Raises ValueError if the file is too large for the repository."""
    path = IMAGES / f"{name}.png"
    await page.wait_for_function(
        "[...document.images].every((image) => image.complete || image.loading === 'lazy')"
    )
    await page.screenshot(path=path, animations="disabled", caret="hide")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}")


async def _take(site: str, url: str) -> None:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only this needs a browser

    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_program(), args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme in ("light", "dark"):
            await _pictures(browser, site, url, scheme)  # type: ignore[arg-type]
        await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", choices=[*PAGES])
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080", help="default: %(default)s")
    arguments = parser.parse_args()
    asyncio.run(_take(arguments.site, f"{arguments.url.rstrip('/')}/{arguments.site}"))
