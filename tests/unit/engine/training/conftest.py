"""Two tiny shops, written out: one with everything, one that has hardly begun."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from services.engine.training.recipes import Dataset

DAY = 86_400
START = 1_700_000_000

# (user, item, days after the start, type)
EVENTS = [
    ("ann", "tea", 0, "View"),
    ("ann", "tea", 0, "Purchase"),
    ("ann", "cup", 1, "Purchase"),
    ("ann", "tea", 9, "Purchase"),
    ("bob", "tea", 0, "View"),
    ("bob", "cup", 2, "Add to Cart"),
    ("bob", "spoon", 3, "Purchase"),
    ("cid", "cup", 0, "View"),
    ("cid", "spoon", 1, "View"),
    ("cid", "茶碗 ☕", 2, "Purchase"),
    ("dee", "lamp", 4, "View"),
    ("dee", "bulb", 5, "Purchase"),
    ("eve", "lamp", 1, "View"),
    ("eve", "bulb", 1, "Purchase"),
    ("eve", "tea", 3, "View"),
]


def interactions(events: list[tuple[str, str, int, str]]) -> pa.Table:
    users, items, days, types = zip(*events, strict=True)
    return pa.table(
        {
            "USER_ID": users,
            "ITEM_ID": items,
            "TIMESTAMP": pa.array([START + day * DAY for day in days], pa.int64()),
            "EVENT_TYPE": types,
        }
    )


def crowd(users: int) -> pa.Table:
    """Two tastes that never mix, each walking through its items in one order."""
    events = [
        (f"u{user}", f"{'ab'[user % 2]}{(user // 2 + step) % 8}", step, "view")
        for user in range(users)
        for step in range(4 + user % 3)
    ]
    return interactions(events)


@pytest.fixture
def read() -> Callable[[list[tuple[str, str, int, str]]], Dataset]:
    """(user, item, days after the start, type) rows as a data set."""
    return lambda events: Dataset.from_arrow(interactions(events))


@pytest.fixture(scope="module")
def shop() -> Dataset:
    items = pa.table(
        {
            "ITEM_ID": ["tea", "cup", "spoon", "茶碗 ☕", "lamp", "bulb", "mug"],
            "ITEM_NAME": [
                "Green tea",
                "Blue china cup",
                "Silver spoon",
                "Tea bowl",
                "Desk lamp",
                "Warm bulb",
                "Red china cup",
            ],
            "CATEGORY": ["tea", "tableware", "tableware", "tableware", "light", "light", "tableware"],
            "PRICE": [3.5, 7.0, None, 30.0, 40.0, 4.0, 8.0],
        }
    )
    users = pa.table({"USER_ID": ["ann", "zoe"], "CITY": ["Ulm", None]})
    return Dataset.from_arrow(interactions(EVENTS), items, users)


@pytest.fixture(scope="module")
def two_tastes() -> Dataset:
    return Dataset.from_arrow(crowd(120))


def _one_of_everything() -> Dataset:
    return Dataset.from_arrow(pa.table({"USER_ID": ["u"], "ITEM_ID": ["i"], "TIMESTAMP": [1]}))


def _all_at_once() -> Dataset:
    table = {"USER_ID": [f"u{n % 40}" for n in range(160)], "ITEM_ID": [f"i{n % 7}" for n in range(160)]}
    return Dataset.from_arrow(pa.table({**table, "TIMESTAMP": [5] * 160}))


def _one_user() -> Dataset:
    table = {"USER_ID": ["u"] * 10, "ITEM_ID": [f"i{n % 3}" for n in range(10)]}
    return Dataset.from_arrow(pa.table({**table, "TIMESTAMP": list(range(10))}))


def _one_item() -> Dataset:
    table = {"USER_ID": [f"u{n % 30}" for n in range(90)], "ITEM_ID": ["i"] * 90}
    return Dataset.from_arrow(pa.table({**table, "TIMESTAMP": list(range(90))}))


@pytest.fixture(
    params=[_one_of_everything, _all_at_once, _one_user, _one_item], ids=lambda make: make.__name__[1:]
)
def tiny(request: pytest.FixtureRequest) -> Dataset:
    made: Dataset = request.param()
    return made
