"""The metrics of the protocols: every item is ranked, and one or more items are relevant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

Metric = Callable[[Sequence[str], Collection[str]], float]


def recall(depth: int) -> Metric:
    """Return recall at a depth; with one relevant item this is the hit rate."""
    return lambda items, relevant: sum(item in relevant for item in items[:depth]) / len(relevant)


def reciprocal_rank(depth: int) -> Metric:
    """Return the reciprocal rank of the first hit within a depth, 0 without a hit."""
    return lambda items, relevant: next(
        (1 / rank for rank, item in enumerate(items[:depth], 1) if item in relevant), 0.0
    )


def ndcg(depth: int) -> Metric:
    """Return NDCG at a depth with binary relevance."""
    discounts = 1 / np.log2(np.arange(depth) + 2)

    def metric(items: Sequence[str], relevant: Collection[str]) -> float:
        hits = np.array([item in relevant for item in items[:depth]], float)
        return float((hits * discounts[: len(hits)]).sum() / discounts[: min(depth, len(relevant))].sum())

    return metric


def mean(
    metric: Metric, lists: Iterable[tuple[str, Sequence[str]]], relevant: Mapping[str, Collection[str]]
) -> float:
    """Return the mean of a metric over the users who have relevant items."""
    return float(np.mean([metric(items, relevant[user]) for user, items in lists if relevant.get(user)]))
