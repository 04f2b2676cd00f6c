"""The dashboard on the running product: what people see there of the shop, and what they change."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Dashboard
from tests.browser.test_shop import ROWS, home, session
from tests.support.browser import Chromium
from tests.support.shop import Shop
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page

FIGURES = """(placement) => {
    const link = [...document.querySelectorAll('#main table th[scope=row] a')]
        .find((each) => each.textContent === placement);
    if (!link) return {};
    const names = [...link.closest('table').tHead.rows[0].cells].map((cell) => cell.textContent);
    const cells = [...link.closest('tr').cells].map((cell) => cell.textContent.replaceAll(',', ''));
    return Object.fromEntries(names.map((name, at) => [name, Number.parseFloat(cells[at])]));
}"""


@pytest.fixture
async def visitor(chromium: Chromium) -> AsyncIterator[Page]:
    """Yield a page of a guest of the shop."""
    async with chromium.context() as profile:
        yield await profile.new_page()


async def figures(page: Page, dashboard: Dashboard) -> dict[str, float]:
    """Return the figures of the placement `home` on the overview, none before its first answer."""
    await page.goto(f"{dashboard.address}/overview")
    return dict(await page.evaluate(FIGURES, "home"))


async def test_events_of_a_guest_appear_with_the_answer_they_follow(
    visitor: Page, admin: Page, dashboard: Dashboard, address: str
) -> None:
    item = (await home(visitor, address))[0]
    await admin.goto(f"{dashboard.address}/live?subject={await session(visitor)}")
    answers = admin.locator("section[aria-labelledby=answers] tbody tr", has_text="home")
    await answers.first.wait_for()

    await visitor.locator(ROWS).first.locator("a").click()
    click = admin.locator("section[aria-labelledby=events] tbody tr", has_text="click")
    await click.locator(f'a[href$="items?id={item}"]').wait_for()
    await click.get_by_role("link", name="shown").click()

    await admin.get_by_role("heading", name="Answer", exact=True).wait_for()
    assert await admin.get_by_role("link", name="home", exact=True).count() == 1
    assert await admin.locator(f'ol a[href$="items?id={item}"]').count() == 1


async def test_a_sale_in_the_shop_counts_for_the_placement_that_was_clicked(
    visitor: Page, admin: Page, dashboard: Dashboard, address: str, shop: Shop
) -> None:
    item = (await home(visitor, address))[0]
    price = shop.get("sync", f"/v1/items/{item}", key="read")["price"]
    before = await figures(admin, dashboard)

    await visitor.locator(ROWS).first.locator("a").click()
    await visitor.get_by_role("button", name="Add to cart").click()
    await visitor.get_by_role("link", name="Go to checkout").click()
    await visitor.get_by_role("button", name="Place the order").click()
    await visitor.get_by_role("heading", name="Thank you!").wait_for()

    least = before.get("Revenue", 0) + price - 0.01
    after = await eventually(
        lambda: figures(admin, dashboard), "the sale counts",
        enough=lambda figures: figures.get("Revenue", 0) >= least,
    )  # fmt: skip
    assert after["Units"] >= before.get("Units", 0) + 1
    assert after["Clicks"] >= before.get("Clicks", 0) + 1
    await admin.get_by_role("link", name="home", exact=True).click()
    await admin.get_by_text("Strategies of the placement home").wait_for()


async def test_a_merchandiser_pins_an_item_and_the_shop_shows_it(
    visitor: Page, chromium: Chromium, dashboard: Dashboard, address: str, shop: Shop
) -> None:
    new = {"kind": "merchandiser", "label": "Ann"}
    key = shop.call("POST", "engine", "/v1/keys", json=new).json()["key"]
    listed = await home(visitor, address)
    items = shop.get("sync", "/v1/items", key="read", params={"limit": 50})["items"]
    item = next(row["item_id"] for row in items if row["available"] and row["item_id"] not in listed)
    async with chromium.context() as profile:
        page = await profile.new_page()
        await dashboard.sign_in(page, key)
        try:
            await page.goto(f"{dashboard.address}/placements/home")
            await page.get_by_label("Pin the item").fill(item)
            await page.get_by_role("button", name="Pin", exact=True).click()
            await page.get_by_role("heading", name="Preview", exact=True).wait_for()
            await page.get_by_role("button", name="Save").click()
            began = time.monotonic()

            await eventually(
                lambda: home(visitor, address), f"{item} is the first item", enough=lambda ids: ids[0] == item
            )
            print(f"\na saved pin was shown in the shop after {time.monotonic() - began:.2f} s")  # noqa: T201
            await page.get_by_text("home is saved as revision").wait_for()
            await page.goto(f"{dashboard.address}/items?id={item}")
            row = page.locator("tr", has=page.get_by_role("link", name="home", exact=True))
            assert "pinned at position 1" in await row.inner_text()
        finally:
            shop.call("DELETE", "engine", "/v1/placements/home")


async def test_a_generation_is_trained_and_rolled_back(admin: Page, dashboard: Dashboard, shop: Shop) -> None:
    listed = shop.get("loader", "/v1/generations")["generations"]
    earlier = next(entry["generation"] for entry in listed if entry["active"] and entry["kind"] == "full")
    await admin.goto(f"{dashboard.address}/training")
    await admin.get_by_label("Reason of a new run").fill("a new season")
    await admin.get_by_role("button", name="Train now").click()
    notice = await admin.get_by_text("is queued").first.inner_text()
    queued = re.search(r"Run (\d+) is queued", notice)
    assert queued is not None, notice
    later = int(queued[1])

    await admin.goto(f"{dashboard.address}/training/runs/{later}")
    await admin.locator("#run .title .badge", has_text="completed").wait_for()
    assert await admin.locator("#run tbody tr").count() > 3
    await asyncio.to_thread(shop.wait_for_generation, later)

    async def press(button: str, generation: int) -> str:
        """Press a button of a generation; return what the page says then."""
        await admin.goto(f"{dashboard.address}/training")
        rows = admin.locator("section[aria-labelledby=generations] tr")
        row = rows.filter(has=admin.get_by_role("link", name=str(generation), exact=True))
        await row.get_by_role("button", name=button).click()
        return await admin.locator(".note").first.inner_text()

    for generation, button in ((earlier, "Roll back"), (later, "Activate")):
        notice = f"Generation {generation} is served now"
        await eventually(
            partial(press, button, generation), notice, enough=lambda said, notice=notice: notice in said
        )
        await asyncio.to_thread(shop.wait_for_generation, generation)


async def test_pages_and_forms_work_without_scripts(
    chromium: Chromium, dashboard: Dashboard, shop: Shop
) -> None:
    async with chromium.context(java_script_enabled=False) as profile:
        page = await profile.new_page()
        await dashboard.sign_in(page, shop.endcap.keys["admin"])
        await page.goto(f"{dashboard.address}/overview")
        assert await page.get_by_role("term").filter(has_text=re.compile("^Orders$")).count() == 1
        await page.locator("figure.chart summary").first.click()
        assert await page.locator("figure.chart table").first.is_visible()

        try:
            await page.get_by_role("link", name="Placements", exact=True).click()
            await page.get_by_label("New placement").fill("without-scripts")
            await page.get_by_role("button", name="Define it").click()
            await page.get_by_label("Items of the list").fill("3")
            await page.get_by_role("button", name="Set", exact=True).click()
            await page.get_by_role("button", name="Save").click()
            await page.get_by_text("without-scripts is saved").wait_for()
            stored = shop.get("engine", "/v1/placements/without-scripts")
        finally:
            shop.call("DELETE", "engine", "/v1/placements/without-scripts")

    assert stored["placement"]["limit"] == 3


async def test_an_experiment_with_a_design_is_defined_and_started(
    admin: Page, dashboard: Dashboard, shop: Shop
) -> None:
    name = "form-of-a-bandit"
    await admin.goto(f"{dashboard.address}/experiments")
    define = admin.get_by_role("button", name="Define experiment")
    if not await define.is_visible():
        await admin.get_by_text("Define an experiment", exact=True).click()
    form = admin.locator("form", has=define)
    days = form.get_by_label("Days in which events count")
    await form.get_by_label("Design").select_option("interleaving")
    assert await days.is_visible()
    await form.get_by_label("Design").select_option("bandit")
    assert not await days.is_visible()
    filled = {
        "name": name,
        "surface": "item-affinity",
        "bandit-period_minutes": "30",
        "bandit-floor": "5",
        "strategy-1": "popularity",
    }
    for field, text in filled.items():
        await form.locator(f'[name="{field}"]').fill(text)
    await define.click()
    await admin.get_by_text("Version 1 is a draft").wait_for()
    stored = shop.get("router", f"/v1/experiments/{name}")

    try:
        await admin.get_by_role("button", name="Start", exact=True).click()
        await admin.get_by_text("Version 1 runs").wait_for()
        await admin.get_by_text("Define a new version", exact=False).first.click()
        next_version = admin.locator("form", has=admin.get_by_role("button", name="Define a new version"))
        assert await next_version.get_by_label("Minutes of a period").input_value() == "30"
        assert await next_version.get_by_label("Smallest share, %").input_value() == "5"
        assert await admin.get_by_role("cell", name="popularity").first.is_visible()
    finally:
        shop.call("POST", "router", f"/v1/experiments/{name}/stop")

    assert stored["design"] == {
        "kind": "bandit", "period_minutes": 30, "floor": 0.05, "reward_hours": 24.0,
    }  # fmt: skip
    assert [each["strategy"] for each in stored["variants"]] == [None, "popularity"]
