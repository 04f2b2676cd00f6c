"""`<endcap-recommendations>` in a browser, on a shop that was loaded, trained and served."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import Page, Request, Route

from tests.browser.conftest import EventLog
from tests.browser.test_events import session_of
from tests.support.browser import Chromium, layout_shifts, serious_findings
from tests.support.product import Endcap
from tests.support.shop import Shop
from tests.support.site import Site
from tests.support.waiting import eventually

ITEMS = "(element) => element.items.map((item) => item.product_id)"
BELOW = '<p style="margin-top:2000px">Imprint</p>'


def element(placement: str, content: str = "", **attributes: str) -> str:
    pairs = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return (
        f'<endcap-recommendations placement="{placement}" href="/product?{{id}}" image="/picture.svg"{pairs}>'
        f"{content}</endcap-recommendations>"
    )


async def answer_late(route: Route) -> None:
    """Answer when the skeleton was painted, so that a difference between it and the items is a shift."""
    await asyncio.sleep(0.5)
    await route.continue_()


async def items_of(page: Page, placement: str) -> list[str]:
    """Wait until an element shows items; return their ids."""
    locator = page.locator(f"endcap-recommendations[placement={placement}]")
    return list(await eventually(lambda: locator.evaluate(ITEMS), f"items of {placement}"))


async def event_of(log: EventLog, session: str, kind: str) -> dict[str, Any]:
    """Wait for the newest event of a type; return it."""
    rows = await eventually(
        lambda: log.of(session_id=session),
        kind,
        enough=lambda rows: kind in {row["event_type"] for row in rows},
    )
    return next(row for row in reversed(rows) if row["event_type"] == kind)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_page_is_one_request_without_repeats_shifts_or_findings(
    site: Site, chromium: Chromium, kit: str, shop: Shop, scheme: Any
) -> None:
    body = (
        "<main><h1>Shop</h1>"
        + element("home", heading="For you", limit="4", explain="", currency="EUR")
        + element("category", "<p>Our favourites</p>", label="Popular now", limit="3")
        + "<p>Below both</p></main>"
    )
    requests: list[Request] = []
    async with chromium.context(scheme=scheme) as context:
        page = await context.new_page()
        page.on("request", lambda request: requests.append(request) if "/api/" in request.url else None)
        await page.route("**/api/v1/pages", answer_late)
        style = "<style>:root{color-scheme:light dark}</style>"
        await page.goto(site.put("/", body, style + kit))
        home, category = await items_of(page, "home"), await items_of(page, "category")
        await page.locator("img").first.wait_for()
        shifts, findings = await layout_shifts(page), await serious_findings(page)

        lists = page.get_by_role("list")
        assert [await lists.nth(at).get_by_role("listitem").count() for at in range(2)] == [4, 3]
        assert await page.get_by_role("region", name="For you").count() == 1
        assert "€" in await page.get_by_role("link").first.inner_text()
        await page.get_by_text("Why this?").first.focus()
        await page.keyboard.press("Enter")
        reason = page.locator("endcap-recommendations [part=reason][open]")
        assert len(await reason.inner_text()) > len("Why this?\n")

    assert len(home) == 4
    assert not set(home) & set(category)
    assert [request.method for request in requests if request.method != "OPTIONS"] == ["POST"]
    assert (shifts, findings) == ([], [])


async def test_what_is_seen_and_clicked_names_its_recommendation(
    site: Site, page: Page, kit: str, shop: Shop, log: EventLog
) -> None:
    site.put("/product", "<main><h1>Product</h1></main>", kit)
    body = element("home", limit="2") + BELOW + element("category", limit="2")
    await page.goto(site.put("/", f"<main><h1>Shop</h1>{body}</main>", kit))
    session, home = await session_of(page), await items_of(page, "home")
    below = await items_of(page, "category")

    impression = await event_of(log, session, "impression")
    assert impression["impression"] == home
    served = shop.get("recommender", f"/v1/recommendations/{impression['recommendation_id']}", key="admin")
    assert served["placement"] == "home"

    await page.get_by_role("link").first.click()
    await page.wait_for_url("**/product?*")
    click = await event_of(log, session, "click")
    await page.evaluate(f"endcap.track('add_to_cart', {{item_id: {home[0]!r}}})")
    cart = await event_of(log, session, "add_to_cart")
    assert (click["item_id"], click["properties"]["position"]) == (home[0], 1)
    assert click["recommendation_id"] == cart["recommendation_id"] == impression["recommendation_id"]
    seen = [
        row["impression"] for row in await log.of(session_id=session) if row["event_type"] == "impression"
    ]
    assert not any(set(below) & set(items) for items in seen), "what is below the fold was not seen"


async def test_a_live_list_follows_the_visitor_but_never_under_the_pointer(
    site: Site, page: Page, kit: str, shop: Shop, endcap: Endcap
) -> None:
    await page.goto(site.put("/", f"<main><h1>Shop</h1>{element('search', live='', limit='4')}</main>", kit))
    locator = page.locator("endcap-recommendations")
    first = await items_of(page, "search")
    await page.evaluate(
        "addEventListener('endcap:answer', () => { window.answers = (window.answers ?? 0) + 1 }, true)"
    )

    await page.evaluate(f"endcap.track('view', {{item_id: {first[0]!r}}})")
    changed = await eventually(lambda: locator.evaluate(ITEMS), enough=lambda items: items != first)
    assert await locator.get_by_role("status").inner_text() == "Recommendations changed."

    await locator.hover()
    answers = await page.evaluate("window.answers")
    await page.evaluate(f"endcap.track('view', {{item_id: {changed[-1]!r}}})")
    await eventually(lambda: page.evaluate("window.answers"), enough=lambda count: count > answers)
    assert await locator.evaluate(ITEMS) == changed
    await page.mouse.move(1200, 790)
    await eventually(lambda: locator.evaluate(ITEMS), enough=lambda items: items != changed)


async def test_without_an_answer_the_page_shows_its_own_content(
    site: Site, page: Page, kit: str, endcap: Endcap
) -> None:
    await page.route(f"{endcap.urls['recommender']}/**", lambda route: route.abort())
    content = '<p>Our favourites: <a href="/product?1">the lamp</a></p>'
    await page.goto(site.put("/", f"<main><h1>Shop</h1>{element('home', content)}<p>Below</p></main>", kit))

    await page.get_by_role("link", name="the lamp").wait_for()
    assert await page.get_by_role("listitem").count() == 0
    assert (await layout_shifts(page), await serious_findings(page)) == ([], [])
