"""The kit's example without a build, with the address and the key put in, on a shop that was trained."""

from __future__ import annotations

from contextlib import suppress

from playwright.async_api import Error, Page

from tests.browser.conftest import EventLog
from tests.support.processes import ROOT
from tests.support.product import Endcap
from tests.support.shop import Shop
from tests.support.site import Site
from tests.support.waiting import eventually

EXAMPLE = ROOT / "examples" / "storefront" / "examples" / "plain.html"


async def test_the_example_fills_its_lists_after_the_consent(
    page: Page, site: Site, endcap: Endcap, shop: Shop, storefront_key: str, log: EventLog
) -> None:
    text = EXAMPLE.read_text().replace("STOREFRONT KEY", storefront_key)
    site.pages["/kettle"] = text.replace("http://localhost:8080", endcap.environment["ENDCAP_URL"])
    await page.goto(f"{site.url}/kettle")
    await page.get_by_text("See all of our kettles").wait_for()
    assert await page.evaluate("localStorage.length") == 0

    answers: list[str] = []
    page.on("response", lambda answer: answers.append(f"{answer.status} {answer.url}"))
    page.on("requestfailed", lambda request: answers.append(f"{request.failure} {request.url}"))
    rows = page.locator("endcap-recommendations[placement=home] li[data-item]")

    async def shown() -> tuple[int, list[str]]:
        """Return the number of items; a page whose request has failed asks again when it is loaded anew."""
        with suppress(Error):
            await rows.first.wait_for(timeout=20_000)
        if not (count := await rows.count()):
            await page.reload()
        return count, answers

    await page.get_by_role("button", name="Yes").click()
    await eventually(shown, "the list of the placement home is filled", enough=lambda found: found[0] > 0)
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
