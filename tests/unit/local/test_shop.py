"""The generated shop: the same every time, and with something to learn in it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from deploy.local.shop import FILES, write_shop
from tests.support.processes import ROOT

TODAY = date(2026, 11, 5)
"""A day at which the seasons of the shop are those of the calendar."""

Tables = dict[str, list[dict[str, str]]]
"""The rows of each file, by its name."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), today=TODAY)


@pytest.fixture(scope="module")
def tables(shop: Path) -> Tables:
    return {name: _rows(shop, name) for name in ("items", "users", "orders")}


def _rows(shop: Path, name: str) -> list[dict[str, str]]:
    with (shop / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_is_the_same_every_time(shop: Path, tmp_path: Path) -> None:
    # In another process sets have another order.
    program = (
        "import sys, pathlib, datetime; from deploy.local.shop import write_shop;"
        "write_shop(pathlib.Path(sys.argv[1]), today=datetime.date(2026, 11, 5))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, env=environment, check=True, timeout=60
    )

    for name in FILES:
        assert (tmp_path / f"{name}.csv").read_bytes() == (shop / f"{name}.csv").read_bytes()


def test_its_year_ends_today_and_nothing_is_in_the_future(tmp_path: Path) -> None:
    today = date(2027, 6, 30)
    shop = write_shop(tmp_path, customer_count=200, today=today)
    now = datetime.combine(today, time(), UTC)
    times = {
        name: [datetime.fromisoformat(row[column]) for row in _rows(shop, name)]
        for name, column in (("items", "created_at"), ("orders", "ordered_at"), ("interactions", "timestamp"))
    }

    assert max(max(column) for column in times.values()) < now
    assert (
        timedelta(days=4)
        < now
        - max(
            datetime.fromisoformat(row["ordered_at"])
            for row in _rows(shop, "orders")
            if row["kind"] == "order"
        )
        < timedelta(days=7)
    )
    assert timedelta(days=360) < now - min(times["orders"]) < timedelta(days=370)


def test_its_size_is_what_a_first_start_can_wait_for(tables: Tables) -> None:
    assert 2_500 <= len(tables["items"]) <= 3_500
    assert len(tables["users"]) == 2_000
    assert 35_000 <= len(tables["orders"]) <= 50_000


def test_every_line_names_a_known_item_and_a_known_customer_or_a_guest(tables: Tables) -> None:
    items = {row["item_id"] for row in tables["items"]}
    users = {row["user_id"] for row in tables["users"]}

    orders = tables["orders"]

    assert {row["product_id"] for row in orders} <= items
    assert {row["user_id"] for row in orders} <= users | {""}
    assert any(not row["user_id"] for row in orders)


def test_a_cancellation_repeats_a_line_of_an_order(tables: Tables) -> None:
    by_kind: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for row in tables["orders"]:
        by_kind[row["kind"]].add((row["order_id"], row["line"], row["product_id"]))

    assert by_kind["cancellation"]
    assert by_kind["cancellation"] < by_kind["order"]


def test_an_item_comes_once_in_an_order(tables: Tables) -> None:
    lines = Counter(
        (row["order_id"], row["product_id"]) for row in tables["orders"] if row["kind"] == "order"
    )

    assert max(lines.values()) == 1


def test_a_customer_comes_back_to_the_same_category(tables: Tables) -> None:
    """Far more often than two orders of two customers have a category in common."""
    mine: dict[str, list[str]] = defaultdict(list)
    for row in tables["orders"]:
        mine[row["user_id"]].append(row["category"])
    mine.pop("")
    overall = Counter(category for bought in mine.values() for category in bought)
    total = overall.total()

    by_chance = sum((count / total) ** 2 for count in overall.values())
    same = [
        Counter(bought).most_common(1)[0][1] / len(bought) for bought in mine.values() if len(bought) >= 10
    ]

    assert sum(same) / len(same) > 3 * by_chance


def test_christmas_sells_in_winter(tables: Tables) -> None:
    months = Counter(row["ordered_at"][5:7] for row in tables["orders"] if row["category"] == "Christmas")

    assert months["12"] + months["11"] > 4 * (months["06"] + months["05"])
