"""The page Data of the dashboard: rejected rows as a file, and a dead letter that is replayed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from services.dashboard.store.event_lake import EXAMPLES
from shared.events.topics import PUTS
from tests.browser.conftest import Dashboard
from tests.support.shop import Shop
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page


async def test_rejected_rows_of_an_import_are_downloaded(
    admin: Page, dashboard: Dashboard, shop: Shop, tmp_path: Path
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("item_id,name,price\nnew-1,Lamp,12\nnew-2,Rug,cheap\n")
    shop.import_file("items", path)

    await admin.goto(f"{dashboard.address}/data")
    await admin.get_by_role("link", name="prices.csv").click()
    async with admin.expect_download() as event:
        await admin.get_by_role("button", name="Download the rejected rows as CSV").click()
    saved = tmp_path / "rejects.csv"
    await (await event.value).save_as(saved)

    with saved.open(newline="") as file:
        (row,) = list(csv.DictReader(file))
    assert row["line"] == "3"
    assert "cheap" in row["raw row"]


async def test_a_dead_letter_is_shown_and_replayed(
    admin: Page, dashboard: Dashboard, shop: Shop, dead_letter: str
) -> None:
    await admin.goto(f"{dashboard.address}/data")
    await admin.get_by_role("link", name="Dead letters").click()
    await admin.locator(f'a[href$="{dead_letter}"]').click()
    assert "9999-12-31" in await admin.locator("pre").inner_text()

    await admin.get_by_role("button", name="Replay").click()
    await admin.get_by_text(f"The record is on {PUTS.name} again.").wait_for()
    assert await admin.get_by_role("button", name="Replay").count() == 0
    letters = await eventually(
        lambda: shop.get("engine", "/v1/dead-letters", params={"topic": PUTS.name})["dead_letters"],
        "the record has failed once more",
        enough=lambda letters: len(letters) >= 2,
    )
    assert [letter["replayed_at"] is not None for letter in letters[-2:]] == [False, True]


async def test_every_example_of_sql_runs_and_its_result_is_a_file(
    admin: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    titles = list(EXAMPLES)
    for title in titles:
        await admin.goto(f"{dashboard.address}/sql")
        await admin.get_by_role("link", name=title).click()
        await admin.get_by_role("button", name="Run", exact=True).click()
        await admin.get_by_role("heading", name="Result").wait_for()
        assert await admin.locator(".note.error").all_inner_texts() == [], title
        assert title.startswith("Answers") or await admin.locator("tbody tr").count() > 0, title

    async with admin.expect_download() as event:
        await admin.get_by_role("button", name="Download as CSV").click()
    saved = tmp_path / "query.csv"
    await (await event.value).save_as(saved)
    placement, answers = next(csv.reader(saved.read_text().splitlines()))
    assert (titles[-1], placement, answers) == ("Answers by placement", "placement", "answers")
