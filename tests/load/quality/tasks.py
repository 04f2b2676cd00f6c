"""The protocols as data: training events, later events, test users, and their relevant items.

The recipe is the only setting of a data set. Where a file has no times, seconds keep the order of events.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tests.load.quality.lines import Thresholds
from tests.load.quality.scores import Metric, ndcg, recall, reciprocal_rank

_START = 1_400_000_000
_MINUTE = 60
_FEWEST_BASKETS = 4


@dataclass(frozen=True)
class Figure:
    """A metric of a task; `select` returns those of a user's relevant items that count."""

    name: str
    metric: Metric
    thresholds: Thresholds
    select: Callable[[str, Collection[str]], Collection[str]] = lambda _, relevant: relevant


@dataclass(frozen=True)
class Task:
    """One protocol on one data set.

    `train` and `later` are interactions (USER_ID, ITEM_ID, TIMESTAMP); `later` is imported after training.
    `items` is the whole catalogue (ITEM_ID, and attributes if there are any), `relevant` the next items of
    each test user, and `seen` the items that are removed from a list before the metrics are computed.
    """

    name: str
    recipe: str
    train: pa.Table
    items: pa.Table
    relevant: Mapping[str, Collection[str]]
    figures: tuple[Figure, ...]
    later: pa.Table | None = None
    seen: Mapping[str, Collection[str]] = field(default_factory=dict)
    depth: int = 10
    hyperparameters: Mapping[str, str] = field(default_factory=dict)

    def masked(self, user: str, items: Iterable[str]) -> list[str]:
        """Return the first `depth` items of a list, without those that the protocol masks."""
        seen = self.seen.get(user, ())
        return [item for item in items if item not in seen][: self.depth]


Rows = Iterable[tuple[str, str, int]]


def interactions(rows: Rows) -> pa.Table:
    """Return the interactions table of rows of (user, item, second)."""
    users, items, seconds = zip(*rows, strict=True)
    columns = {"USER_ID": users, "ITEM_ID": items, "TIMESTAMP": pa.array(seconds, pa.int64())}
    return pa.table(columns)


def catalogue(items: Collection[str], attributes: Mapping[str, str] | None = None) -> pa.Table:
    """Return the items table, with the column ATTRIBUTES if there are any."""
    ids = sorted(items)
    columns = {"ITEM_ID": pa.array(ids, pa.string())}
    if attributes is not None:
        columns["ATTRIBUTES"] = pa.array([attributes.get(item) for item in ids], pa.string())
    return pa.table(columns)


def personalize_poc(folder: Path) -> pa.Table:
    """Return the interactions of Amazon's workshop, which GetSolutionMetrics splits."""
    table = _read(folder / "interactions.csv.gz", as_text=("USER_ID", "ITEM_ID"))
    # A watch and a click are in the same second: the protocol counts a pair of user and item once.
    return table.select(["USER_ID", "ITEM_ID", "TIMESTAMP"])


def personalize_poc_items(folder: Path) -> pa.Table:
    """Return the genres and the year of each film of Amazon's workshop."""
    return _read(folder / "item-meta.csv.gz", as_text=("ITEM_ID", "GENRE"))


def amazon_beauty(folder: Path) -> list[Task]:
    """Return leave-one-out tasks: the last item is relevant, the one before is imported after training."""
    users: dict[str, list[str]] = {}
    with gzip.open(folder / "sequences.txt.gz", "rt") as lines:
        for line in lines:
            user, *items = line.split()
            users[user] = items
    train = (
        (user, item, _START + place) for user, items in users.items() for place, item in enumerate(items[:-2])
    )
    with gzip.open(folder / "item_attributes.json.gz", "rt") as file:
        attributes_by_item = {
            item: "|".join(map(str, attributes)) for item, attributes in json.load(file).items()
        }
    every_item = {item for items in users.values() for item in items}
    plain = Task(
        "Amazon Beauty",
        "aws-user-personalization",
        interactions(train),
        catalogue(every_item),
        {user: items[-1:] for user, items in users.items()},
        (
            Figure("HR@10", recall(10), Thresholds(0.079, 0.0885, "SASRec .0605, BSARec .1002")),
            Figure("NDCG@10", ndcg(10), Thresholds(0.049, 0.0531, "SASRec .0318, BSARec .0610")),
        ),
        later=interactions((user, items[-2], _START + len(items)) for user, items in users.items()),
        seen={user: set(items[:-1]) for user, items in users.items()},
    )
    return [
        plain,
        replace(plain, name="Amazon Beauty, with attributes", items=catalogue(items, attributes_by_item)),
    ]


def diginetica(folder: Path) -> list[Task]:
    """Return a task of anonymous sessions: predict the item after a prefix. Each session is a user."""
    with gzip.open(folder / "train_sessions.txt.gz", "rt") as lines:
        sessions = [line.split() for line in lines]
    with gzip.open(folder / "test_prefixes.txt.gz", "rt") as lines:
        prefixes = [line.rstrip("\n").split("\t") for line in lines]
    train = (
        (f"s{number}", item, _START + number * _MINUTE + place)
        for number, items in enumerate(sessions)
        for place, item in enumerate(items)
    )
    end = _START + len(sessions) * _MINUTE
    later = (
        (f"p{number}", item, end + number * _MINUTE + place)
        for number, (prefix, _) in enumerate(prefixes)
        for place, item in enumerate(prefix.split())
    )
    known = {item for items in sessions for item in items}
    return [
        Task(
            "Diginetica",
            "endcap-session",
            interactions(train),
            catalogue(
                known
                | {target for _, target in prefixes}
                | {i for prefix, _ in prefixes for i in prefix.split()}
            ),
            {f"p{number}": [target] for number, (_, target) in enumerate(prefixes)},
            (
                Figure("HR@20", recall(20), Thresholds(0.520, 0.542, "SR-GNN .5073, GCE-GNN .5422")),
                Figure(
                    "MRR@20", reciprocal_rank(20), Thresholds(0.183, 0.190, "SR-GNN .1759, GCE-GNN .1904")
                ),
            ),
            later=interactions(later),
            depth=20,
        )
    ]


def online_retail(folder: Path) -> list[Task]:
    """Return a next-basket task: one basket per customer and day, customers with four or more."""
    baskets = _baskets(folder / "transactions.csv.gz")
    last = {customer: days[max(days)] for customer, days in baskets.items()}
    train = [
        (customer, item, second)
        for customer, days in baskets.items()
        for day in sorted(days)[:-1]
        for item, second in days[day].items()
    ]
    bought = defaultdict(set)
    for customer, item, _ in train:
        bought[customer].add(item)
    published = "personal frequency .2096, TIFU .2164"
    return [
        Task(
            "Online Retail",
            "endcap-next-basket",
            interactions(train),
            catalogue({item for days in baskets.values() for basket in days.values() for item in basket}),
            {customer: set(basket) for customer, basket in last.items()},
            (
                Figure("R@10", recall(10), Thresholds(0.212, 0.2164, published)),
                Figure("NDCG@10", ndcg(10), Thresholds(published="personal frequency .3182, TIFU .3252")),
                Figure(
                    "R@10 of repeats",
                    recall(10),
                    Thresholds(),
                    lambda user, relevant: {*relevant} & bought[user],
                ),
                Figure(
                    "R@10 of new items",
                    recall(10),
                    Thresholds(),
                    lambda user, relevant: {*relevant} - bought[user],
                ),
            ),
        )
    ]


def gowalla(folder: Path) -> list[Task]:
    """Return tasks on a wide catalogue: predict unvisited places. The files have no times."""
    train, test = (np.load(folder / f"{name}.npz") for name in ("train", "test"))
    known, relevant = _pairs(train), _pairs(test)
    figures = (
        Figure(
            "Recall@20", recall(20), Thresholds(0.1846, 0.1849, "GF-CF .1849, LightGCN .1820, BSPM-EM .1920")
        ),
        Figure("NDCG@20", ndcg(20), Thresholds(0.1515, 0.1518, "GF-CF .1518, LightGCN .1547, BSPM-EM .1597")),
    )
    rows = interactions((user, item, _START) for user, items in known.items() for item in items)
    items = catalogue([str(item) for item in range(int(train["shape"][1]))])
    return [
        Task(
            f"gowalla, {method}",
            "endcap-graph",
            rows,
            items,
            relevant,
            figures,
            seen=known,
            depth=20,
            hyperparameters={"method": method},
        )
        for method in ("gf-cf", "tuned", "even")
    ]


def _pairs(archive: Any) -> dict[str, set[str]]:
    """Return the columns of each row of a saved scipy CSR matrix."""
    # Each access to a member of the archive reads the array again.
    ends, items = archive["indptr"].tolist(), archive["indices"].tolist()
    return {
        f"u{row}": {str(item) for item in items[ends[row] : ends[row + 1]]} for row in range(len(ends) - 1)
    }


def _baskets(path: Path) -> dict[str, dict[int, dict[str, int]]]:
    """Return, by customer, day and item, the first second of the item on that day."""
    table = _read(path, as_text=("CustomerID", "StockCode", "InvoiceNo"))
    seconds: Any = table["InvoiceDate"].cast(pa.timestamp("s")).cast(pa.int64())
    baskets: dict[str, dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    names = ("CustomerID", "StockCode", "Quantity")
    columns: list[Any] = [*(table[name].to_pylist() for name in names), seconds.to_pylist()]
    for customer, code, quantity, second in zip(*columns, strict=True):
        if customer and quantity > 0 and re.match(r"\d{5}", code):
            basket = baskets[customer][second // 86_400]
            basket[code] = min(second, basket.get(code, second))
    return {customer: days for customer, days in baskets.items() if len(days) >= _FEWEST_BASKETS}


def _read(path: Path, as_text: tuple[str, ...]) -> pa.Table:
    options = csv.ConvertOptions(column_types=dict.fromkeys(as_text, pa.string()))
    stream: Any
    with gzip.open(path) as stream:
        return csv.read_csv(stream, convert_options=options)


TASKS: dict[str, Callable[[Path], list[Task]]] = {
    "amazon_beauty": amazon_beauty,
    "diginetica": diginetica,
    "online_retail": online_retail,
    "gowalla": gowalla,
}
