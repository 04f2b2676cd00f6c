"""The demo shop behind the gateway: a visitor looks around, orders and logs in, and the lists follow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import EventLog
from tests.load import bench_pages
from tests.support.browser import Chromium, layout_shifts, serious_findings
from tests.support.shop import Shop
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

HOME = "endcap-recommendations[placement=home]"
ROWS = f"{HOME} li[data-item]"
MOST_STOPS = 20
"""Stops of the Tab key from the beginning of the content to the first reason: the guide comes before it."""
FOCUSED = """() => {
    let active = document.activeElement;
    while (active.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
    return active.innerText;
}"""
PAGES = ("/", "/search?q=mug", "/products/i-0241", "/cart", "/login", "/categories/Dining")


async def listed(page: Page) -> list[str]:
    """Return the ids of the home page's items."""
    ids: list[str] = await page.locator(ROWS).evaluate_all("rows => rows.map(row => row.dataset.item)")
    return ids


async def home(page: Page, address: str) -> list[str]:
    """Open the home page; return the ids of its items once Endcap has answered."""
    await page.goto(f"{address}/")
    await page.locator(ROWS).first.wait_for()
    return await listed(page)


async def focused(page: Page) -> str:
    """Return the text of the element that has the focus, also inside of the kit's element."""
    return str(await page.evaluate(FOCUSED)).strip()


async def session(page: Page) -> str:
    return str(await page.evaluate("localStorage.getItem('endcap.session')"))


async def test_a_guest_looks_around_buys_and_logs_in(
    page: Page, address: str, log: EventLog, shop: Shop
) -> None:
    first = await home(page, address)
    await page.get_by_role("link", name="Look at three mugs").click()
    mugs = page.locator("main > .grid .card")
    viewed = [str(await mugs.nth(at).get_attribute("data-item")) for at in range(3)]
    for item in viewed:
        await page.goto(f"{address}/products/{item}")
        await page.locator("endcap-recommendations[placement=product] li[data-item]").first.wait_for()

    await home(page, address)
    changed = await eventually(lambda: listed(page), "the list has changed", enough=lambda ids: ids != first)
    assert not set(viewed) >= set(changed)

    bought = changed[0]
    await page.locator(ROWS).first.locator("a").click()
    await page.get_by_role("button", name="Add to cart").click()
    await page.get_by_role("link", name="Go to checkout").click()
    await page.get_by_role("button", name="Place the order").click()
    await page.get_by_role("heading", name="Thank you!").wait_for()
    assert bought not in await home(page, address)

    guest = await session(page)
    events = await eventually(
        lambda: log.of(session_id=guest), "the purchase is stored",
        enough=lambda events: any(event["event_type"] == "purchase" for event in events),
    )  # fmt: skip
    types = [event["event_type"] for event in events]
    assert {"page", "view", "click", "add_to_cart", "begin_checkout", "purchase"} <= set(types)
    (purchase,) = [event for event in events if event["event_type"] == "purchase"]
    assert (purchase["item_id"], purchase["user_id"]) == (bought, None)

    user = shop.buyer()
    await page.goto(f"{address}/login")
    await page.get_by_label("Or any other customer id").fill(user)
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.locator(f"body[data-user={user}]").wait_for()
    await eventually(
        lambda: log.of(user_id=user), "the session belongs to the customer",
        enough=lambda events: any(event["session_id"] == guest for event in events),
    )  # fmt: skip
    assert bought not in await home(page, address)
    assert await session(page) == guest


async def test_the_drawer_shows_events_answers_and_reasons(page: Page, address: str) -> None:
    await page.route("**/drawer.js*", _late)
    await page.goto(f"{address}/products/i-0241")
    await page.get_by_role("button", name="What happens behind").click()
    drawer = page.get_by_role("complementary", name="What happens behind")
    # Live updates, which have no milliseconds, may have come since.
    answer = drawer.locator("li.answer", has_text=" ms · from").last
    await answer.locator("summary").click()

    assert "product: 6 items" in await answer.inner_text()
    assert await answer.locator("li em").count() == 6
    view = drawer.locator("li.event", has_text="view").first
    await view.get_by_text("200 after").wait_for()
    await page.keyboard.press("Escape")
    assert await drawer.is_hidden()


async def _late(route: Route) -> None:
    """Answer after the scripts that are loaded beside this one."""
    await asyncio.sleep(0.5)
    await route.continue_()


async def test_lists_reasons_and_the_drawer_open_with_the_keyboard(page: Page, address: str) -> None:
    await home(page, address)
    await page.keyboard.press("Tab")
    assert await focused(page) == "Skip to the content"
    await page.keyboard.press("Enter")
    reached: list[str] = []
    while "Why this?" not in reached:
        assert len(reached) < MOST_STOPS, reached
        await page.keyboard.press("Tab")
        reached.append(await focused(page))
    reason = page.locator(f"{HOME} [part=reason][open]")
    assert await reason.count() == 0
    await page.keyboard.press("Enter")
    assert len(await reason.inner_text()) > len("Why this?\n")
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/products/*")

    opener = page.get_by_role("button", name="What happens behind")
    await opener.focus()
    await page.keyboard.press("Enter")
    drawer = page.get_by_role("complementary", name="What happens behind")
    await drawer.wait_for()
    await page.keyboard.press("Escape")
    assert await drawer.is_hidden()
    assert await focused(page) == "What happens behind"


async def test_pages_show_their_own_lists_while_answers_are_away(page: Page, address: str) -> None:
    await page.route("**/api/v1/**", lambda route: route.abort())
    await page.goto(f"{address}/")

    card = page.locator(f"{HOME} .card").first
    await card.wait_for(state="visible")
    assert await card.get_attribute("href")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_are_accessible_and_calm(chromium: Chromium, address: str, scheme: Any) -> None:
    async with chromium.context(scheme=scheme, width=390 if scheme == "dark" else 1280) as context:
        page = await context.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
        for path in PAGES:
            await page.goto(f"{address}{path}")
            await page.locator("main").wait_for()
            assert await serious_findings(page) == [], path
            assert sum(shift["value"] for shift in await layout_shifts(page)) < 0.01, path
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert refused == []


async def test_pages_are_measured(address: str) -> None:
    """As `python -m tests.load pages` does."""
    figures = await bench_pages.measure(address, visits=1, pages={"login": "/login"})

    assert {"login: transferred", "login: layout shift"} <= {figure.name for figure in figures}
