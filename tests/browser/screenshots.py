"""`python -m tests.browser.screenshots [URL]`: take the pictures of the demo shop in docs/images.

The shop runs, for example by `make run`; URL is its address.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.support.browser import chromium_program

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
MAX_BYTES = 150_000
SIZE = {"width": 1040, "height": 680}
PHONE = {"width": 390, "height": 720}
ITEMS = ("i-0241", "i-0030")

Scheme = Literal["light", "dark"]


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


def _visit(path: str) -> Callable[[Page, str], Awaitable[None]]:
    async def visit(page: Page, url: str) -> None:
        await _go(page, f"{url}{path}")

    return visit


PAGES: dict[str, Callable[[Page, str], Awaitable[None]]] = {
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


async def _pictures(browser: Browser, url: str, scheme: Scheme) -> None:
    context = await browser.new_context(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = await context.new_page()
    await _fill_cart(page, url)
    for name, reach in PAGES.items():
        await reach(page, url)
        await _save(page, f"shop-{name}-{scheme}")
        if name == "drawer":
            await page.keyboard.press("Escape")
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await _go(page, f"{url}/")
    await _save(page, f"shop-phone-{scheme}")
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


async def _take(url: str) -> None:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only this needs a browser

    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_program(), args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme in ("light", "dark"):
            await _pictures(browser, url, scheme)  # type: ignore[arg-type]
        await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080/shop", help="default: %(default)s")
    asyncio.run(_take(parser.parse_args().url.rstrip("/")))
