"""Graph filters over users and items: walks through other users, and latent factors.

Both are parts of GF-CF: Yifei Shen and others, "How Powerful is Graph Convolution for Recommendation?", 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shared.models.histories import WeightedEvents, ranges
from shared.models.scoring import Scores


@dataclass(frozen=True)
class TwoStepWalk:
    """Two steps of a random walk: from an item to its users, and from a user to that user's items.

    Item i's users are `users[user_offsets[i]:user_offsets[i + 1]]` with the weights `user_weights`; user u's
    items `items[offsets[u]:offsets[u + 1]]` with the weights `item_weights`. The product of the two would be
    an item-item table with many times as many entries, so it is never made.
    """

    kind: ClassVar[str] = "walks"

    user_offsets: NDArray[np.int64]
    users: NDArray[np.int32]
    user_weights: NDArray[np.float32]
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    item_weights: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model folder keeps them: CSR float32[items, users] and back."""
        return {
            "user_offsets": self.user_offsets,
            "users": self.users,
            "there": self.user_weights,
            "offsets": self.offsets,
            "items": self.items,
            "back": self.item_weights,
        }

    def settings(self) -> dict[str, float]:
        """Return the numbers that a model folder keeps beside the arrays: none."""
        return {}

    def add(self, scores: Scores, events: WeightedEvents, shares: Scores) -> None:
        """Add the end points of the walks from each row's events.

        scores: float64[rows, items], changed in place; shares: float64[events].
        """
        ends = np.searchsorted(events.users, np.arange(len(scores)), side="right").tolist()
        begin = 0
        for row, end in enumerate(ends):
            if end > begin:
                reached = _step(
                    self.user_offsets,
                    self.users,
                    self.user_weights,
                    events.items[begin:end],
                    shares[begin:end],
                )
                users = np.flatnonzero(reached)
                arrived = _step(self.offsets, self.items, self.item_weights, users, reached[users])
                scores[row, : len(arrived)] += arrived
            begin = end


def _step(
    offsets: NDArray[np.int64],
    targets: NDArray[np.int32],
    weights: NDArray[np.float32],
    sources: NDArray[Any],
    shares: Scores,
) -> Scores:
    """Return how much of the shares of `sources` arrives at each target: float64[targets]."""
    first = offsets[sources]
    counts = offsets[sources + 1] - first
    edges = ranges(first, counts)
    arriving = np.repeat(shares, counts) * weights[edges]
    return np.bincount(targets[edges], weights=arriving).astype(np.float64, copy=False)


@dataclass(frozen=True)
class LatentFactors:
    """An item-item table of low rank, as the product of two thin ones.

    `encoder`, float32[items, factors], is what an event of an item adds to a user's factors; `decoder`,
    float32[factors, items], is what a factor adds to the score of each item.
    """

    kind: ClassVar[str] = "tastes"

    encoder: NDArray[np.float32]
    decoder: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model folder keeps them: float32[items, factors] and back."""
        return {"enter": self.encoder, "leave": self.decoder}

    def settings(self) -> dict[str, float]:
        """Return the numbers that a model folder keeps beside the arrays: none."""
        return {}

    def add(self, scores: Scores, events: WeightedEvents, shares: Scores) -> None:
        """Add the decoded factors of each row's events.

        scores: float64[rows, items], changed in place; shares: float64[events].
        """
        factors = np.zeros((len(scores), self.encoder.shape[1]), np.float32)
        np.add.at(factors, events.users, self.encoder[events.items] * shares[:, None].astype(np.float32))
        scores += factors @ self.decoder
