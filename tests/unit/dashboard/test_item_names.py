"""Items by their names: the search, and names in place of ids."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import CSRF, browser

ANN = Person("ann", "shop", "merchandiser")
ITEMS = {"i-1": "Copper Kettle", "i-2": "Oak Bowl, large"}


def item(item_id: str) -> dict[str, Any]:
    facts = {"category": "Kitchen", "price": 30.0, "available": True}
    return {"item_id": item_id, "name": ITEMS[item_id]} | facts


def shop(request: httpx.Request) -> httpx.Response:
    """Answer as sync lists items, and as the engine has no placement."""
    if request.url.path == "/v1/items":
        ids, words = request.url.params.get_list("id"), request.url.params.get("search", "").lower()
        names = {item_id: ITEMS[item_id].lower() for item_id in ids or ITEMS if item_id in ITEMS}
        rows = [item(item_id) for item_id, name in names.items() if words in name]
        return httpx.Response(200, json={"items": rows, "total": len(rows)})
    if request.url.path == "/v1/recommendations/r-1":
        shown = {
            "items": [{"product_id": "i-1", "strategy": "popular"}, {"product_id": "i-9", "strategy": ""}]
        }
        facts = {"served_at": None, "surface": "rest", "placement": None, "target": None, "request": {}}
        more = {"source": "redis", "generation": 1, "experiment": None, "history_events": 0, "rules": []}
        visitor = {"user_id": None, "session_id": None, "newest_event_at": None}
        return httpx.Response(200, json={**shown, **facts, **more, **visitor})
    return httpx.Response(404, json={"error": "Unknown", "detail": "nothing here"})


@pytest.mark.parametrize(
    ("words", "expected"),
    [("", ["Copper Kettle", "Oak Bowl"]), ("oak", ["Oak Bowl"]), ("tea", ["No item has"])],
)
async def test_items_are_listed_and_found_by_words(
    words: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser(monkeypatch, ANN, shop) as client:
        page = await client.get("/dashboard/items", params={"search": words})

    assert [text for text in ("Copper Kettle", "Oak Bowl", "No item has") if text in page.text] == expected


async def test_an_id_leads_to_the_page_of_the_item(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ANN, shop) as client:
        answer = await client.get("/dashboard/items", params={"search": " i-1 "})

    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/items?id=i-1")


async def test_an_answer_names_items_and_keeps_unknown_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ANN, shop) as client:
        page = await client.get("/dashboard/answers/r-1")

    assert 'title="i-1">Copper Kettle</a>' in page.text
    assert 'title="i-9">i-9</a>' in page.text


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("copper kettle", "i-1"), ("i-2", "i-2"), ("a,b", "a,b")],
)
async def test_a_rule_takes_a_name_for_an_id(
    typed: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"csrf": CSRF, "definition": "{}", "do": "add-pins", "pin_item": typed, "pin_position": "1"}
    async with browser(monkeypatch, ANN, shop) as client:
        page = await client.post("/dashboard/placements/home/draft", data=form)

    assert f"&#34;item_id&#34;: &#34;{expected}&#34;" in page.text
