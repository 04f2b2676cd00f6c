"""The popularity and the age of items, which rankingInfluence adds to similarity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.scoring import Scores


@dataclass(frozen=True)
class RankingInfluence:
    """Popularity relative to the most popular item, and freshness from the oldest item (0) to the newest (1).

    Both are float64[items], from 0 to 1.
    """

    popularity: Scores
    freshness: Scores

    @classmethod
    def of(cls, popularity: NDArray[Any], created_at: NDArray[Any]) -> RankingInfluence:
        """Scale both to 0 … 1; `created_at` is in epoch seconds, and unknown ones (0, NaN) are oldest."""
        times = np.zeros(len(popularity))
        if created_at.dtype.kind in "if" and len(created_at) == len(popularity):
            times = np.nan_to_num(created_at.astype(np.float64))
        known = times[times > 0]
        first, last = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        counts = popularity.astype(np.float64)
        freshness = np.clip((times - first) / max(last - first, 1.0), 0, 1)
        return cls(counts / max(float(counts.max(initial=0)), 1.0), freshness)

    def applied(
        self, neighbours: NDArray[np.int32], similarities: NDArray[Any], influence: Mapping[str, float]
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Return the neighbours by similarity, popularity and freshness, best first, with their scores.

        `influence` is the weight of POPULARITY and of FRESHNESS, 0 … 1 each. Returns int32[neighbours] and
        float64[neighbours].
        """
        popularity, freshness = influence.get("POPULARITY", 0.0), influence.get("FRESHNESS", 0.0)
        scores = (
            similarities + popularity * self.popularity[neighbours] + freshness * self.freshness[neighbours]
        )
        order = np.argsort(-scores, kind="stable")
        return neighbours[order], scores[order] / (1 + popularity + freshness)
