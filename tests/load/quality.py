"""Recommendation quality on public data, beside published numbers: `python -m tests.load.quality`.

The data is read where ENDCAP_DATA says, else from ../shared/data; what is not there is left out, with
the reason. Every item is ranked. Random splits are `numpy.random.default_rng(seed).permutation` over
the users in the order of their ids, seeds 0–9; means and standard deviations are over those. Nothing is
set for a data set: all tasks run aws-user-personalization as a new customer would.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from services.engine.recipes import RECIPES, Dataset, evaluate
from services.engine.recipes.recipe import silent
from shared.models import Model

OURS = RECIPES["aws-user-personalization"]
POPULAR = RECIPES["aws-popularity-count"]
_DEPTH = 10

Queries = Callable[[Model], Iterable[tuple[Sequence[str], Collection[str]]]]


@dataclass(frozen=True)
class Line:
    """One figure of the table. `spread` is the standard deviation over the splits."""

    task: str
    metric: str
    value: float
    popular: float
    must: float | None = None
    goal: float | None = None
    published: str = ""
    spread: float | None = None

    def cells(self) -> list[str]:
        """As text; a value below its bar, or below popularity, says so."""
        short = self.value < self.popular or (self.must is not None and self.value < self.must)
        value = f"{self.value:.4f}" + (f" ± {self.spread:.4f}" if self.spread is not None else "")
        bars = [f"{bar:.4f}" if bar is not None else "" for bar in (self.must, self.goal)]
        mark = "SHORT" if short else ""
        return [self.task, self.metric, value, f"{self.popular:.4f}", *bars, self.published, mark]


@dataclass(frozen=True)
class Interaction:
    """One row of an interactions file."""

    user: str
    item: str
    second: int


def _dataset(rows: Sequence[Interaction], items: Iterable[str] = ()) -> Dataset:
    return Dataset.from_arrow(
        pa.table(
            {
                "USER_ID": [row.user for row in rows],
                "ITEM_ID": [row.item for row in rows],
                "TIMESTAMP": pa.array([row.second for row in rows], pa.int64()),
            }
        ),
        pa.table({"ITEM_ID": pa.array(sorted(items), pa.string())}),
    )


def personalize_poc(folder: Path, seeds: int) -> list[Line]:
    """Amazon's workshop: 90 % of users train, of the others the newest 10 % of events is to be found."""
    table = _read(folder / "interactions.csv.gz", as_text=("USER_ID", "ITEM_ID"))
    # A watch comes with a click in the same second: the protocol counts a user and an item once.
    dataset = Dataset.from_arrow(table.select(["USER_ID", "ITEM_ID", "TIMESTAMP"]))
    ours = [evaluate(OURS, dataset, {}, seed=seed) for seed in range(seeds)]
    popular = [evaluate(POPULAR, dataset, {}, seed=seed) for seed in range(seeds)]
    bars: dict[str, tuple[float | None, float | None, str]] = {
        "normalized_discounted_cumulative_gain_at_10": (0.255, 0.27, "Personalize .2687"),
        "precision_at_25": (0.060, 0.065, "Personalize .0379"),
        "mean_reciprocal_rank_at_25": (0.210, 0.25, "Personalize .2690"),
        "normalized_discounted_cumulative_gain_at_25": (None, None, "Personalize .3321"),
        "coverage": (None, None, "Personalize .0791"),
    }
    return [
        Line(
            "Personalize POC",
            key,
            float(np.mean([metrics[key] for metrics in ours])),
            float(np.mean([metrics[key] for metrics in popular])) if key != "coverage" else 0.0,
            must,
            goal,
            published,
            float(np.std([metrics[key] for metrics in ours])),
        )
        for key, (must, goal, published) in bars.items()
    ]


def amazon_beauty(folder: Path, _: int) -> list[Line]:
    """Leave one out: the last item is the test, the last but one is seen but does not train."""
    users: dict[str, list[str]] = {}
    with gzip.open(folder / "sequences.txt.gz", "rt") as lines:
        for line in lines:
            user, *items = line.split()
            users[user] = items
    train = [
        Interaction(user, item, place)
        for user, items in users.items()
        for place, item in enumerate(items[:-2])
    ]
    dataset = _dataset(train, {item for items in users.values() for item in items})

    def queries(model: Model) -> Iterable[tuple[Sequence[str], Collection[str]]]:
        for user, items in users.items():
            newest = [(items[-2], "", len(items))]
            found = model.recommend(user_id=user, history=newest, exclude=items[:-1], limit=_DEPTH)
            yield [item for item, _ in found], {items[-1]}

    published = ("SASRec .0605, BSARec .1002", "SASRec .0318, BSARec .0610")
    return _recall_and_gain(
        "Amazon Beauty", "HR", dataset, queries, (0.079, 0.0885), (0.049, 0.0531), published
    )


def online_retail(folder: Path, _: int) -> list[Line]:
    """Next basket: per customer and day, customers with four or more; the last basket is to be found."""
    baskets = _baskets(folder / "transactions.csv.gz")
    train = [
        Interaction(customer, item, second)
        for customer, days in baskets.items()
        for day in sorted(days)[:-1]
        for item, second in days[day].items()
    ]
    dataset = _dataset(
        train, {item for days in baskets.values() for basket in days.values() for item in basket}
    )

    def queries(model: Model) -> Iterable[tuple[Sequence[str], Collection[str]]]:
        for customer, items, _ in model.recommend_many(list(baskets), _DEPTH):
            days = baskets[customer]
            yield items, days[max(days)].keys()

    published = ("personal frequency .2096, TIFU .2164", "personal frequency .3182, TIFU .3252")
    return _recall_and_gain("Online Retail", "R", dataset, queries, (0.212, 0.2164), (None, None), published)


def _baskets(path: Path) -> dict[str, dict[int, dict[str, int]]]:
    """Customer → day → item → its first second on that day."""
    table = _read(path, as_text=("CustomerID", "StockCode", "InvoiceNo"))
    seconds: Any = table["InvoiceDate"].cast(pa.timestamp("s")).cast(pa.int64())
    baskets: dict[str, dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    names = ("CustomerID", "StockCode", "Quantity")
    columns: list[Any] = [*(table[name].to_pylist() for name in names), seconds.to_pylist()]
    rows = zip(*columns, strict=True)
    for customer, code, quantity, second in rows:
        if customer and quantity > 0 and re.match(r"\d{5}", code):
            basket = baskets[customer][second // 86_400]
            basket[code] = min(second, basket.get(code, second))
    return {customer: days for customer, days in baskets.items() if len(days) >= 4}


def _read(path: Path, as_text: Sequence[str]) -> pa.Table:
    options = csv.ConvertOptions(column_types=dict.fromkeys(as_text, pa.string()))
    stream: Any
    with gzip.open(path) as stream:
        return csv.read_csv(stream, convert_options=options)


def _recall_and_gain(
    task: str,
    recall_name: str,
    dataset: Dataset,
    queries: Queries,
    recall_bars: tuple[float | None, float | None],
    gain_bars: tuple[float | None, float | None],
    published: tuple[str, str],
) -> list[Line]:
    """Recall@10 and NDCG@10 with the ideal of min(10, sought), ours beside popularity's."""
    found = []
    for recipe in (OURS, POPULAR):
        pairs = list(queries(recipe.fit(dataset, {}, silent)))
        found.append((_mean(_recall, pairs), _mean(_gain, pairs)))
    (recall, gain), (popular_recall, popular_gain) = found
    return [
        Line(task, f"{recall_name}@10", recall, popular_recall, *recall_bars, published[0]),
        Line(task, "NDCG@10", gain, popular_gain, *gain_bars, published[1]),
    ]


def _mean(
    metric: Callable[[Sequence[str], Collection[str]], float],
    pairs: Sequence[tuple[Sequence[str], Collection[str]]],
) -> float:
    return float(np.mean([metric(items, sought) for items, sought in pairs]))


def _recall(items: Sequence[str], sought: Collection[str]) -> float:
    return sum(item in sought for item in items) / len(sought)


def _gain(items: Sequence[str], sought: Collection[str]) -> float:
    discounts = 1 / np.log2(np.arange(_DEPTH) + 2)
    won = sum(discount for discount, item in zip(discounts, items, strict=False) if item in sought)
    return float(won / discounts[: min(_DEPTH, len(sought))].sum())


TASKS: dict[str, Callable[[Path, int], list[Line]]] = {
    "personalize_poc": personalize_poc,
    "amazon_beauty": amazon_beauty,
    "online_retail": online_retail,
}


def table(lines: Sequence[Line]) -> str:
    """The lines as a table in Markdown."""
    head = ["task", "metric", "measured", "popularity", "must", "goal", "published", ""]
    rows = [head, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def main() -> None:
    """Run the tasks asked for, or all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", metavar="task", help=", ".join(TASKS))
    parser.add_argument("--seeds", type=int, default=10, help="random splits, where a protocol has any")
    asked = parser.parse_args()
    here = Path(__file__).resolve().parents[2]
    data = Path(os.environ.get("ENDCAP_DATA", here.parent / "shared" / "data"))
    lines = []
    for task in asked.tasks or TASKS:
        if not (data / task).is_dir():
            print(f"{task} is left out: there is no folder {data / task} (set ENDCAP_DATA).")  # noqa: T201
            continue
        began = time.monotonic()
        lines += TASKS[task](data / task, asked.seeds)
        print(f"{task}: {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
    print(table(lines))  # noqa: T201


if __name__ == "__main__":
    main()
