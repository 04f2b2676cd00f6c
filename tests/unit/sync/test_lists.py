"""Lists of REST APIs and of Shopify, read page by page while they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from services.sync.domain.pulls import answers
from services.sync.domain.records import Ignored, ItemRecord, OrderRecord
from services.sync.domain.sources import parse_config
from services.sync.store.source_api import Answer
from services.sync.worker.pulls.page import Days
from services.sync.worker.pulls.rest_lists import RestLists
from services.sync.worker.pulls.shopify_lists import ShopifyLists
from tests.unit.sync.webhook_bodies import shopify_order, shopify_product

DAYS = Days(date(2026, 11, 1), date(2026, 11, 3))
MAPPING = {"kind": "items", "select": "$.rows[*]", "fields": {"item_id": "$.id", "name": "$.name"}}
Get = Callable[[str, Mapping[str, Any]], Answer]


class Api:
    """Answers requests with a function, and remembers them."""

    def __init__(self, answer: Get) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        self.asked.append((path, dict(params or {})))
        return self.answer(path, params or {})


def rest(**endpoint: Any) -> Any:
    return parse_config(
        {
            "kind": "rest",
            "base_url": "https://erp.example.org",
            "endpoints": [{"path": "/items", "mapping": MAPPING, **endpoint}],
        }
    )


async def read(lists: Any, days: Days = DAYS) -> tuple[list[str], dict[str, Any], list[str]]:
    identities, progress, warnings = [], dict[str, Any](), []
    async for page in lists.pages(days):
        identities += [entry.id for entry in page.objects]
        progress |= page.progress
        warnings += page.warnings
    return identities, progress, warnings


def rows(*identities: int) -> dict[str, Any]:
    return {"rows": [{"id": identity, "name": f"n{identity}"} for identity in identities]}


@pytest.mark.parametrize("kind", ["page", "offset"])
async def test_numbered_pages_are_read_again_while_objects_move_between_them(kind: str) -> None:
    """An object goes while the list is read: another moves to a page that was read already."""
    items = list(range(10))

    def answer(_: str, params: Mapping[str, Any]) -> Answer:
        start = params["p"] if kind == "offset" else (params["p"] - 1) * 3
        found = items[start : start + 3]
        if len(items) == 10 and start == 0:
            del items[0]
        return Answer(rows(*found), None)

    pages = {"kind": kind, "param": "p", "size": 3, "size_param": "n"}
    identities, progress, warnings = await read(RestLists(rest(pages=pages), Api(answer)))

    assert set(identities) == {str(number) for number in range(10)}
    assert (progress, warnings) == ({"0": "done"}, [])


async def test_a_list_that_never_rests_is_a_warning() -> None:
    items = iter(range(10_000))

    def answer(_: str, params: Mapping[str, Any]) -> Answer:
        return Answer(rows(*([next(items), next(items)] if params["page"] < 3 else [])), None)

    *_, warnings = await read(RestLists(rest(pages={"kind": "page", "size": 2}), Api(answer)))

    assert len(warnings) == 1


async def test_cursors_and_links_are_followed_to_their_end() -> None:
    by_cursor = {None: (rows(1) | {"next": "b"}), "b": (rows(2) | {"next": None})}
    config = rest(pages={"kind": "cursor", "param": "after", "cursor": "$.next"})
    cursor = await read(
        RestLists(config, Api(lambda _, params: Answer(by_cursor[params.get("after")], None)))
    )
    link = "https://erp.example.org/items?page=2"
    by_link = {"/items": Answer(rows(1), link), link: Answer(rows(2), None)}
    links = await read(RestLists(rest(pages={"kind": "link"}), Api(lambda path, _: by_link[path])))

    assert cursor[0] == links[0] == ["1", "2"]


async def test_days_are_asked_for_one_by_one_and_a_run_continues() -> None:
    config = rest(since_param="from", until_param="to", day_format="%d.%m.%Y", window_days=2)
    api = Api(lambda *_: Answer(rows(1), None))

    await read(RestLists(config, api))
    await read(RestLists(config, api), Days(DAYS.first, DAYS.last, {"0": "2026-11-03"}))

    assert [params["from"] for _, params in api.asked] == ["01.11.2026", "03.11.2026", "03.11.2026"]
    assert [params["to"] for _, params in api.asked] == ["02.11.2026", "03.11.2026", "03.11.2026"]


async def test_shopify_is_asked_for_what_changed_page_by_page() -> None:
    second = "https://shop.example.org/next"

    def answer(path: str, _: Mapping[str, Any]) -> Answer:
        if path == second:
            return Answer({"orders": [shopify_order(id=2, updated_at="2026-11-03T00:00:00Z")]}, None)
        name = path.rpartition("/")[2].removesuffix(".json")
        entries = {"orders": [shopify_order()], "products": [shopify_product()], "customers": []}
        return Answer({name: entries[name]}, second if name == "orders" else None)

    config = parse_config({"kind": "shopify", "base_url": "https://shop.example.org", "version": "2026-07"})
    api = Api(answer)
    identities, progress, _ = await read(ShopifyLists(config, api))  # type: ignore[arg-type]

    assert identities == ["632910392", "450789469", "2"]
    assert progress["orders_since"] == "2026-11-03T00:00:00Z"
    assert api.asked[0][1]["updated_at_min"] == "2026-11-01T00:00:00+00:00"
    assert api.asked[-2][1]["status"] == "any"


def test_stored_answers_are_read_as_their_source_says() -> None:
    now = datetime(2026, 11, 3, tzinfo=UTC)
    shop = parse_config({"kind": "shopify", "base_url": "https://shop.example.org"})
    item = answers.parse(rest(), "0", b'{"object": {"id": 7, "name": "Cup"}}', now)  # type: ignore[arg-type]
    order = answers.parse(shop, "orders/updated", orjson.dumps({"object": shopify_order()}), now)  # type: ignore[arg-type]

    assert isinstance(item, list)
    assert isinstance(item[0], ItemRecord)
    assert isinstance(order, list)
    assert isinstance(order[0], OrderRecord)
    assert isinstance(answers.parse(rest(), "5", b'{"object": {}}', now), Ignored)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "ftp://erp.example.org"},
        {"base_url": "https://user:secret@erp.example.org"},
        {"every_hours": 0},
        {"timezone": "Mars"},
        {"endpoints": []},
        {"auth_header": "X: Y"},
    ],
)
def test_a_configuration_is_checked_when_it_is_sent(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse_config(rest().model_dump(mode="json") | changes)
