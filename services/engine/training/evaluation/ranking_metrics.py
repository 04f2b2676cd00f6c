"""Offline metrics with Personalize's keys and definitions.

https://docs.aws.amazon.com/personalize/latest/dg/working-with-training-metrics.html. Its NDCG divides
by the gain of the same list with its hits moved to the top, not by the gain of all that was held out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from services.engine.training.fitting import DEPTH

CUTS = (5, 10, 25)


def reciprocal_rank(hits: Sequence[bool]) -> float:
    """Return 1 / rank of the first hit, 0 without one."""
    return next((1 / rank for rank, hit in enumerate(hits, 1) if hit), 0.0)


def ndcg(hits: Sequence[bool], cut: int) -> float:
    """Return the gains 1 / log2(1 + rank) of the hits over those of as many hits at the top."""
    ranks = np.flatnonzero(np.asarray(hits[:cut], bool)) + 1
    if len(ranks) == 0:
        return 0.0
    ideal = np.arange(1, len(ranks) + 1)
    return float((1 / np.log2(1 + ranks)).sum() / (1 / np.log2(1 + ideal)).sum())


def precision(hits: Sequence[bool], cut: int) -> float:
    """Return the share of hits among the first `cut` places, even if the list is shorter."""
    return sum(hits[:cut]) / cut


def solution_metrics(
    lists: Iterable[tuple[Sequence[str], Collection[str]]], catalogue: int
) -> dict[str, float]:
    """Return the values of GetSolutionMetrics for pairs of recommended and relevant items.

    `catalogue` is the number of items. Values are means over the pairs, rounded to 4 decimals, 0 without any.
    """
    recommended: set[str] = set()
    ranks: list[float] = []
    gains: dict[int, list[float]] = {cut: [] for cut in CUTS}
    shares: dict[int, list[float]] = {cut: [] for cut in CUTS}
    for items, relevant in lists:
        listed = items[:DEPTH]
        hits = [item in relevant for item in listed]
        recommended.update(listed)
        ranks.append(reciprocal_rank(hits))
        for cut in CUTS:
            gains[cut].append(ndcg(hits, cut))
            shares[cut].append(precision(hits, cut))
    return {
        "coverage": round(len(recommended) / max(catalogue, 1), 4),
        "mean_reciprocal_rank_at_25": _mean(ranks),
        **{f"normalized_discounted_cumulative_gain_at_{cut}": _mean(gains[cut]) for cut in CUTS},
        **{f"precision_at_{cut}": _mean(shares[cut]) for cut in CUTS},
    }


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if len(values) else 0.0
