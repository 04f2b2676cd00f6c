"""How popular and how new items are, beside how alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.models.scoring import Scores


@dataclass(frozen=True)
class Standing:
    """By the number of an item, 0 … 1: its share of the most interactions, its place from old to new."""

    popularity: Scores
    freshness: Scores

    @classmethod
    def of(cls, popularity: NDArray[Any], moments: NDArray[Any]) -> Standing:
        """`moments` are when items came to be, in epoch seconds; what is unknown (0, NaN) is oldest."""
        times = np.zeros(len(popularity))
        if moments.dtype.kind in "if" and len(moments) == len(popularity):
            times = np.nan_to_num(moments.astype(np.float64))
        known = times[times > 0]
        first, last = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        fame = popularity.astype(np.float64)
        fresh = np.clip((times - first) / max(last - first, 1.0), 0, 1)
        return cls(fame / max(float(fame.max(initial=0)), 1.0), fresh)

    def influenced(
        self, near: NDArray[np.int32], weights: NDArray[Any], influence: Mapping[str, float]
    ) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Neighbours by likeness and standing, best first; `influence` is how much each counts, 0 … 1."""
        popular, fresh = influence.get("POPULARITY", 0.0), influence.get("FRESHNESS", 0.0)
        scores = weights + popular * self.popularity[near] + fresh * self.freshness[near]
        order = np.argsort(-scores, kind="stable")
        return near[order], scores[order] / (1 + popular + fresh)
