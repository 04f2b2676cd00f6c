"""Events of the storefront kit, from a page in a browser to the tracker's log."""

from __future__ import annotations

import json
from typing import Any

from playwright.async_api import Page, Route

from tests.browser.conftest import EventLog, kit_script
from tests.support.product import Endcap
from tests.support.site import Site
from tests.support.waiting import eventually

STORED = "Object.keys(localStorage).filter((name) => name.startsWith('endcap.'))"
BLANK = "<main><h1>Shop</h1></main>"


async def session_of(page: Page) -> str:
    """Return the guest id that the kit keeps in the page's storage."""
    session: Any = await page.evaluate("localStorage.getItem('endcap.session')")
    assert isinstance(session, str)
    return session


async def types_of(log: EventLog, session: str, *types: str) -> list[dict[str, Any]]:
    """Wait until the log has events of these types of a session, in this order; return them."""
    return await eventually(
        lambda: log.of(session_id=session),
        f"events {types}",
        enough=lambda rows: [row["event_type"] for row in rows] == list(types),
    )


async def test_a_guest_who_logs_in_keeps_the_history(site: Site, page: Page, kit: str, log: EventLog) -> None:
    product = {"@context": "https://schema.org", "@type": "Product", "sku": "lamp", "offers": {"price": "20"}}
    head = f'{kit}<script type="application/ld+json">{json.dumps(product)}</script>'
    data = 'data-endcap-track="add_to_cart" data-endcap-item="lamp" data-endcap-quantity="2"'
    button = f"<button {data}>Buy</button>"
    await page.goto(site.put("/lamp", f"<main><h1>Lamp</h1>{button}</main>", head))
    session = await session_of(page)
    await types_of(log, session, "page", "view")

    await page.evaluate("endcap.identify('u-17')")
    await page.evaluate("dataLayer.push({event: 'view_item', ecommerce: {items: [{item_id: 'lamp'}]}})")
    await page.get_by_role("button").click()

    rows = await types_of(log, session, "page", "view", "identify", "add_to_cart")
    assert [row["user_id"] for row in rows] == [None, None, "u-17", "u-17"]
    assert (rows[1]["item_id"], rows[1]["price"]) == ("lamp", 20)
    assert (rows[3]["item_id"], rows[3]["quantity"]) == ("lamp", 2)


async def test_nothing_is_stored_or_sent_before_a_consent(
    site: Site, page: Page, endcap: Endcap, storefront_key: str, log: EventLog
) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    body = '<main><endcap-recommendations placement="home">Our favourites</endcap-recommendations></main>'
    await page.goto(site.put("/", body, kit_script(endcap, storefront_key, consent="required")))
    await page.evaluate("endcap.track('view', {item_id: 'lamp'})")
    await page.evaluate("endcap.identify('u-18')")
    await page.evaluate("endcap.flush()")
    assert await page.get_by_text("Our favourites").is_visible()
    await page.goto(site.url + "/")

    assert await page.evaluate(STORED) == []
    assert {url for url in requests if not url.startswith((site.url, "data:"))} == set()

    await page.evaluate("endcap.consent(true)")
    await page.evaluate("endcap.track('view', {item_id: 'lamp'})")
    await types_of(log, await session_of(page), "page", "view")

    await page.evaluate("endcap.consent(false)")
    assert await page.evaluate(STORED) == []


async def test_events_without_a_network_arrive_after_a_reload(
    site: Site, page: Page, kit: str, endcap: Endcap, log: EventLog
) -> None:
    tracker = f"{endcap.urls['tracker']}/**"
    await page.route(tracker, lambda route: route.abort("internetdisconnected"))
    await page.goto(site.put("/", BLANK, kit))
    await page.evaluate("endcap.track('view', {item_id: 'lamp'})")
    await page.evaluate("endcap.flush()")
    await page.reload()
    queued = await page.evaluate(f"{STORED}.filter((name) => name.includes('.event.')).sort()")
    assert len(queued) == 3

    await page.unroute(tracker)
    await page.evaluate("dispatchEvent(new Event('online'))")

    rows = await types_of(log, await session_of(page), "page", "view", "page")
    assert [f"endcap.event.{row['event_id']}" for row in rows] == queued
    await eventually(
        lambda: page.evaluate(STORED), enough=lambda names: not any(".event." in name for name in names)
    )


async def test_an_event_whose_answer_is_lost_is_sent_again_and_counts_once(
    site: Site, page: Page, kit: str, endcap: Endcap, log: EventLog
) -> None:
    attempts: list[list[str]] = []

    async def answer(route: Route) -> None:
        events = route.request.post_data_json
        attempts.append([event["event_id"] for event in events])
        match len(attempts):
            case 1:  # The events arrive, the answer does not.
                await route.fetch()
                await route.abort("connectionreset")
            case 2:
                busy = {"retry-after": "1", "access-control-allow-origin": "*"}
                exposed = {"access-control-expose-headers": "retry-after"}
                await route.fulfill(status=429, headers={**busy, **exposed}, body="{}")
            case _:
                await route.continue_()

    await page.route(f"{endcap.urls['tracker']}/v1/events", answer)
    await page.goto(site.put("/", BLANK, kit))
    session = await session_of(page)
    await eventually(lambda: attempts, enough=lambda seen: len(seen) >= 3)
    assert attempts[0] == attempts[1] == attempts[2]

    await page.evaluate("endcap.track('search', {query: 'lamp'})")
    await types_of(log, session, "page", "search")


async def test_a_page_that_ends_sends_its_events_as_a_beacon(
    site: Site, page: Page, kit: str, endcap: Endcap, log: EventLog
) -> None:
    # Only the beacon has its key in the address: all other requests are held back.
    await page.route(f"{endcap.urls['tracker']}/v1/events", lambda route: route.abort())
    site.put("/elsewhere", BLANK)
    await page.goto(site.put("/", BLANK, kit))
    await page.evaluate("endcap.track('add_to_cart', {item_id: 'lamp'})")
    session = await session_of(page)
    await page.goto(site.url + "/elsewhere")

    rows = await types_of(log, session, "page", "add_to_cart")
    assert rows[1]["item_id"] == "lamp"
