"""The metrics of the protocols: every item is ranked, and what is sought is one or more items."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

Metric = Callable[[Sequence[str], Collection[str]], float]


def recall(depth: int) -> Metric:
    """The share of what is sought among the first places; with one thing sought, the hit rate."""
    return lambda items, sought: sum(item in sought for item in items[:depth]) / len(sought)


def reciprocal_rank(depth: int) -> Metric:
    """1 / rank of the first hit."""
    return lambda items, sought: next(
        (1 / rank for rank, item in enumerate(items[:depth], 1) if item in sought), 0.0
    )


def gain(depth: int) -> Metric:
    """NDCG, where the ideal list begins with everything sought."""
    discounts = 1 / np.log2(np.arange(depth) + 2)

    def measured(items: Sequence[str], sought: Collection[str]) -> float:
        hits = np.array([item in sought for item in items[:depth]], float)
        return float((hits * discounts[: len(hits)]).sum() / discounts[: min(depth, len(sought))].sum())

    return measured


def mean(
    metric: Metric, lists: Iterable[tuple[str, Sequence[str]]], sought: Mapping[str, Collection[str]]
) -> float:
    """Over all who have something to be found."""
    return float(np.mean([metric(items, sought[user]) for user, items in lists if sought.get(user)]))
