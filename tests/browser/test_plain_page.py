"""The kit's example without a build, with the address and the key put in, on a shop that was trained."""

from __future__ import annotations

from playwright.async_api import Page

from tests.browser.conftest import EventLog
from tests.support.processes import ROOT
from tests.support.product import Endcap
from tests.support.shop import Shop
from tests.support.site import Site
from tests.support.waiting import eventually

COUNT_ANSWERS = """() => {
    window.answers = 0;
    window.addEventListener('endcap:answer', ({ detail }) => {
        window.answers += detail.placement === 'home';
    });
}"""
EXAMPLE = ROOT / "examples" / "storefront" / "examples" / "plain.html"


async def ids(page: Page, placement: str) -> list[str]:
    """Return the ids of the items that the element of a placement shows."""
    element = page.locator(f"endcap-recommendations[placement={placement}]")
    found: list[str] = await element.evaluate("(list) => list.items.map((item) => item.product_id)")
    assert len(found) == await element.locator("li[data-item]").count()
    return found


async def test_the_example_fills_its_lists_after_the_consent(
    page: Page, site: Site, endcap: Endcap, shop: Shop, storefront_key: str, log: EventLog
) -> None:
    text = EXAMPLE.read_text().replace("STOREFRONT KEY", storefront_key)
    site.pages["/kettle"] = text.replace("http://localhost:8080", endcap.environment["ENDCAP_URL"])
    await page.goto(f"{site.url}/kettle")
    await page.get_by_text("See all of our kettles").wait_for()
    assert await page.evaluate("localStorage.length") == 0

    await page.evaluate(COUNT_ANSWERS)
    await page.get_by_role("button", name="Yes").click()
    # The second answer is that of the stream, which names the items that the other list has already.
    await page.wait_for_function("window.answers >= 2")
    lists = [await ids(page, placement) for placement in ("product", "home")]
    assert [len(each) for each in lists] == [6, 6]
    assert not set(lists[0]) & set(lists[1])
    await page.get_by_role("button", name="Add to cart").click()
    await page.get_by_role("button", name="Log in as c-0001").click()

    session = await page.evaluate("localStorage.getItem('endcap.session')")
    events = await eventually(
        lambda: log.of(session_id=session),
        "the events are stored",
        enough=lambda events: "identify" in {event["event_type"] for event in events},
    )
    kinds = {(event["event_type"], event["item_id"], event["user_id"]) for event in events}
    assert {("view", "p-12", None), ("add_to_cart", "p-12", None), ("identify", None, "c-0001")} <= kinds
