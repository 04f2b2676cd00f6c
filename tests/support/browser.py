"""A real browser for tests of pages: Chromium, driven by Playwright in the event loop of the test run.

`page` is a page with storage of its own. A script error that nothing catches fails the test. The browser
resolves no name but `localhost`: a page gets nothing from other hosts.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
_SERIOUS = frozenset({"serious", "critical"})
_SHIFTS = """() => new Promise((resolve) => {
    const observer = new PerformanceObserver(() => {});
    observer.observe({ type: 'layout-shift', buffered: true });
    requestAnimationFrame(() => setTimeout(() => resolve(
        observer.takeRecords().filter((shift) => !shift.hadRecentInput).map((shift) => ({
            value: shift.value,
            moved: shift.sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? String(node?.nodeName)),
        })))));
})"""


_BUSY_MACHINE = """{
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = (milliseconds) => timeout(20 * milliseconds);
}"""
"""After four seconds without an answer a page of the kit shows its own content: here it waits longer."""


@dataclass
class Chromium:
    """The browser, in which each test has pages of its own."""

    browser: Browser
    errors: list[str] = field(default_factory=list)
    """Errors of scripts that nothing caught; a test that expects them clears the list."""

    @asynccontextmanager
    async def context(
        self,
        *,
        scheme: Literal["dark", "light"] = "light",
        width: int = 1280,
        height: int = 800,
        motion: Literal["no-preference", "reduce"] = "reduce",
        **options: Any,
    ) -> AsyncIterator[BrowserContext]:
        """Yield a browser profile of its own; its cookies and storage are gone at the end."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion, **options
        )
        context.set_default_timeout(PATIENCE * 1000)
        await context.add_init_script(_BUSY_MACHINE)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        try:
            yield context
        finally:
            await context.close()


def chromium_program() -> Path:
    """Return the program of the browser. Raises AssertionError if there is none."""
    path = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    assert path is not None, "there is no Chromium; `deploy/local/install tests` installs it"
    return Path(path)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Yield Chromium; one for the test run."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - most test runs need no browser

    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium_program(), args=list(_ARGUMENTS))
        yield running
        await running.close()


@pytest.fixture
async def chromium(browser: Browser) -> AsyncIterator[Chromium]:
    """Yield the browser for a test; fail the test if a script of its pages has failed."""
    pages = Chromium(browser)
    yield pages
    assert not pages.errors, "\n".join(pages.errors)


@pytest.fixture
async def page(chromium: Chromium) -> AsyncIterator[Page]:
    """Yield a page with storage of its own."""
    async with chromium.context() as context:
        yield await context.new_page()


async def serious_findings(page: Page) -> list[str]:
    """Return the accessibility findings of axe that are serious or critical, with the elements."""
    from axe_playwright_python.async_playwright import Axe  # noqa: PLC0415 - as above

    # What passes is counted but not described: a third of the time of axe.
    results = await Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{finding['id']} ({finding['impact']}): {finding['help']}: "
        + ", ".join(str(node["html"])[:160] for node in finding["nodes"][:5])
        for finding in results.response["violations"]
        if finding["impact"] in _SERIOUS
    ]


async def layout_shifts(page: Page) -> list[dict[str, Any]]:
    """Return what moved on the page without the visitor's doing; `value` is its share of the layout shift."""
    return list(await page.evaluate(_SHIFTS))
