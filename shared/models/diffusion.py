"""Graph filters: what a history says through other users, and through the main tastes of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shared.models.histories import Occasions, ranges
from shared.models.scoring import Scores


@dataclass(frozen=True)
class Walks:
    """Two steps: from an item to its users, and from them to their items.

    Item i's users are `users[user_offsets[i]:user_offsets[i + 1]]` with the weights `there`; user u's
    items `items[offsets[u]:offsets[u + 1]]` with the weights `back`. The product of the two is an
    item-item table that need not be made: it has many times as many entries.
    """

    kind: ClassVar[str] = "walks"

    user_offsets: NDArray[np.int64]
    users: NDArray[np.int32]
    there: NDArray[np.float32]
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    back: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {
            "user_offsets": self.user_offsets,
            "users": self.users,
            "there": self.there,
            "offsets": self.offsets,
            "items": self.items,
            "back": self.back,
        }

    def settings(self) -> dict[str, float]:
        """What a model folder keeps beside the arrays: nothing."""
        return {}

    def add(self, scores: Scores, seen: Occasions, shares: Scores) -> None:
        """Add where the walks from each row's events end."""
        ends = np.searchsorted(seen.users, np.arange(len(scores)), side="right").tolist()
        begin = 0
        for number, end in enumerate(ends):
            if end > begin:
                reached = _step(
                    self.user_offsets, self.users, self.there, seen.items[begin:end], shares[begin:end]
                )
                users = np.flatnonzero(reached)
                ended = _step(self.offsets, self.items, self.back, users, reached[users])
                scores[number, : len(ended)] += ended
            begin = end


def _step(
    offsets: NDArray[np.int64],
    ends: NDArray[np.int32],
    weights: NDArray[np.float32],
    begins: NDArray[Any],
    shares: Scores,
) -> Scores:
    """How much arrives where, from some places with their shares."""
    first = offsets[begins]
    counts = offsets[begins + 1] - first
    places = ranges(first, counts)
    said = np.repeat(shares, counts) * weights[places]
    return np.bincount(ends[places], weights=said).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Tastes:
    """The main tastes of all users: a table of low rank, as two thin ones.

    An event of item i says `enter[i]` about the tastes, (tastes,); `leave` says what a taste is worth to
    each item, (tastes, items).
    """

    kind: ClassVar[str] = "tastes"

    enter: NDArray[np.float32]
    leave: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {"enter": self.enter, "leave": self.leave}

    def settings(self) -> dict[str, float]:
        """What a model folder keeps beside the arrays: nothing."""
        return {}

    def add(self, scores: Scores, seen: Occasions, shares: Scores) -> None:
        """Add what each row's tastes are worth to every item."""
        tastes = np.zeros((len(scores), self.enter.shape[1]), np.float32)
        np.add.at(tastes, seen.users, self.enter[seen.items] * shares[:, None].astype(np.float32))
        scores += tastes @ self.leave
