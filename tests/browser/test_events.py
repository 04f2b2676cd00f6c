"""Events of the storefront kit, from a page in a browser to the tracker's log."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

from tests.browser.conftest import EventLog
from tests.support.site import Site
from tests.support.waiting import eventually


async def session_of(page: Page) -> str:
    """Return the guest id that the kit keeps in the page's storage."""
    session: Any = await page.evaluate("localStorage.getItem('endcap.session')")
    assert isinstance(session, str)
    return session


async def test_a_guest_who_logs_in_keeps_the_history(site: Site, page: Page, kit: str, log: EventLog) -> None:
    await page.goto(site.put("/", "<main><h1>Shop</h1></main>", kit))
    await page.evaluate("endcap.track('view', {item_id: 'lamp', price: 20})")
    session = await session_of(page)

    await page.evaluate("endcap.identify('u-17')")
    await page.evaluate("endcap.track('add_to_cart', {item_id: 'lamp', quantity: 2})")

    events = await eventually(
        lambda: log.of(session_id=session), "4 events", enough=lambda rows: len(rows) == 4
    )
    assert [(event["event_type"], event["user_id"]) for event in events] == [
        ("page", None),
        ("view", None),
        ("identify", "u-17"),
        ("add_to_cart", "u-17"),
    ]
    assert events[3]["item_id"] == "lamp"
    assert events[3]["quantity"] == 2
