"""The sample shop: generated files, the same in every run, with patterns that can be learned.

Customers prefer some categories and designs, categories have seasons, consumables are bought repeatedly, some
orders are placed by guests, and some lines are cancelled later.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from deploy.local.shop.assortment import assortment
from deploy.local.shop.customers import customers
from deploy.local.shop.history import browsing, orders

_SEED = 20_261_101

# The order of their import. Orders are first, because their import requests the training; the others are
# imported before it reads.
FILES = ("orders", "items", "users", "interactions")


def write_shop(folder: Path, customer_count: int = 2_000) -> Path:
    """Write items.csv, users.csv, orders.csv and interactions.csv; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(_SEED)  # noqa: S311 - the same shop every time is intended
    items = assortment(random)
    people = customers(random, customer_count)
    lines = orders(random, items, people)
    events = browsing(random, items, people, lines)
    _write(folder / "items.csv", [item.row() for item in items])
    _write(folder / "users.csv", [person.row() for person in people])
    _write(folder / "orders.csv", [line.row() for line in lines])
    _write(folder / "interactions.csv", [event.row() for event in events])
    return folder


def _write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    lines: Sequence[dict[str, str]] = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
