"""Pages of the demo shop in Chromium: bytes, requests, script time, paint and layout shift of a first visit.

The product runs as for `make run`, with the sample shop. Each page is opened a few times through the gateway,
in a profile of its own, so that nothing is cached; a figure is the median. A page is measured when its lists
have items and the pictures in the window are there.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploy.local.load import load_sample
from tests.load.figures import Figure
from tests.load.product import product
from tests.support.browser import chromium_program, layout_shifts

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PAGES = {
    "home": "/",
    "category": "/categories/Dining",
    "search": "/search?q=mug",
    "product": "/products/i-0241",
    "cart": "/cart",
    "login": "/login",
}
VISITS = 5
SIZE = {"width": 1280, "height": 800}
MOST_SHIFT = 0.1
"""A layout shift that counts as good: https://web.dev/articles/cls."""
MOST_PAINT_MILLISECONDS = 2_500.0
"""A largest contentful paint that counts as good: https://web.dev/articles/lcp."""

_OBSERVE = """
window.measured = { paint: 0, blocked: 0 };
new PerformanceObserver((list) => { window.measured.paint = list.getEntries().at(-1).startTime; })
  .observe({ type: 'largest-contentful-paint', buffered: true });
new PerformanceObserver((list) => list.getEntries().forEach((task) => {
  window.measured.blocked += task.duration - 50;
})).observe({ type: 'longtask', buffered: true });
"""
_PICTURES = """() => [...document.images].every((image) => image.complete ||
    image.getBoundingClientRect().top > innerHeight)"""


@dataclass(frozen=True)
class Visit:
    """One visit of a page. Times are in milliseconds; `blocked` is the part of long tasks beyond 50 ms."""

    kilobytes: float
    requests: int
    script: float
    blocked: float
    paint: float
    filled: float
    shift: float


def run() -> Iterator[Figure]:
    """Measure on a product of its own."""
    with product() as endcap:
        load_sample(endcap.stack)
        yield from asyncio.run(measure(f"{endcap.environment['ENDCAP_URL']}/shop"))


async def measure(address: str, visits: int = VISITS, pages: Mapping[str, str] = PAGES) -> list[Figure]:
    """Return the figures of each page of a running shop."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - other benchmarks need no browser

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_program(), args=["--no-sandbox", "--disable-gpu"]
        )
        await _visit(browser, f"{address}/")  # warms up the servers
        measured = {
            name: [await _visit(browser, address + path) for _ in range(visits)]
            for name, path in pages.items()
        }
        await browser.close()
    return [figure for name, each in measured.items() for figure in _figures(name, each)]


async def _visit(browser: Browser, url: str) -> Visit:
    context = await browser.new_context(viewport=SIZE)  # type: ignore[arg-type] # a TypedDict
    try:
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        sizes: list[float] = []
        requests: list[str] = []
        session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.on("request", lambda request: requests.append(request.url))
        await session.send("Network.enable")
        await session.send("Performance.enable")
        await page.add_init_script(_OBSERVE)
        began = time.perf_counter()
        await page.goto(url)
        await _until_filled(page)
        filled = time.perf_counter() - began
        counters: dict[str, Any] = await session.send("Performance.getMetrics")
        seconds = {each["name"]: each["value"] for each in counters["metrics"]}
        measured = await page.evaluate("window.measured")
        shift = sum(each["value"] for each in await layout_shifts(page))
    finally:
        await context.close()
    return Visit(
        sum(sizes) / 1e3,
        len(requests),
        seconds["ScriptDuration"] * 1e3,
        measured["blocked"],
        measured["paint"],
        filled * 1e3,
        shift,
    )


async def _until_filled(page: Page) -> None:
    lists = page.locator("endcap-recommendations")
    for at in range(await lists.count()):
        await lists.nth(at).locator("li[data-item]").first.wait_for()
    await page.wait_for_function(_PICTURES)


def _figures(name: str, visits: list[Visit]) -> Iterator[Figure]:
    def median(member: str) -> float:
        return float(statistics.median(getattr(visit, member) for visit in visits))

    yield Figure(f"{name}: transferred", median("kilobytes"), "kB")
    yield Figure(f"{name}: requests", median("requests"), "")
    yield Figure(f"{name}: script", median("script"), "ms")
    yield Figure(f"{name}: blocked by long tasks", median("blocked"), "ms")
    yield Figure(
        f"{name}: largest paint", median("paint"), "ms", "", "good: 2,500 ms", MOST_PAINT_MILLISECONDS
    )
    yield Figure(f"{name}: lists filled", median("filled"), "ms")
    yield Figure(f"{name}: layout shift", max(each.shift for each in visits), "", "", "good: 0.1", MOST_SHIFT)
