"""The sample shop: generated files, the same on every day but for the dates, with patterns to be learned.

Customers prefer some categories and designs, categories have seasons, consumables are bought repeatedly, some
orders are placed by guests, and some lines are cancelled later.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from deploy.local.shop.assortment import assortment
from deploy.local.shop.customers import customers
from deploy.local.shop.history import END, browsing, orders

_SEED = 20_261_101

# The order of their import. Orders are first, because their import requests the training; the others are
# imported before it reads.
FILES = ("orders", "items", "users", "interactions")

_RECENT = timedelta(days=4)
"""From the last order to today, so that cancellations, at most three days later, are not in the future."""


def write_shop(folder: Path, customer_count: int = 2_000, today: date | None = None) -> Path:
    """Write items.csv, users.csv, orders.csv and interactions.csv; return the folder.

    The year of orders ends four days before `today`, in UTC, so that reports of the last weeks have orders.
    All times move together: seasons keep their place in the year of orders, not in the calendar's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.combine(today or datetime.now(UTC).date(), datetime.min.time(), UTC)
    moved = now - _RECENT - END
    random = Random(_SEED)  # noqa: S311 - the same shop every time is intended
    items = assortment(random)
    people = customers(random, customer_count)
    lines = orders(random, items, people)
    events = browsing(random, items, people, lines)
    _write(folder / "items.csv", [replace(item, created_at=item.created_at + moved).row() for item in items])
    _write(folder / "users.csv", [person.row() for person in people])
    _write(folder / "orders.csv", [replace(line, ordered_at=line.ordered_at + moved).row() for line in lines])
    _write(
        folder / "interactions.csv",
        [replace(event, timestamp=event.timestamp + moved).row() for event in events],
    )
    return folder


def _write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    lines: Sequence[dict[str, str]] = list(rows)
    part = path.with_suffix(".part")  # an interrupted call leaves no file that looks complete
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    part.replace(path)
