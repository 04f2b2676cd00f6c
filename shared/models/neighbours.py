"""Item-item tables: each item's nearest items with weights, as compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["event", "second", "day"]


@dataclass(frozen=True)
class Neighbours:
    """Row i holds `items[offsets[i]:offsets[i + 1]]` and their `weights`, strongest first."""

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]

    def row(self, item: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """One item's neighbours and their weights."""
        begin, end = self.offsets[item], self.offsets[item + 1]
        return self.items[begin:end], self.weights[begin:end]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {"offsets": self.offsets, "items": self.items, "weights": self.weights}


@dataclass(frozen=True)
class Part:
    """One ingredient of a user's scores: a table, and how an event's say fades.

    An event that lies `age` units back counts `decay ** age`. The unit is the event itself, the
    second (events of one moment share their age), or the day (a basket shares its age). An event's
    weights are divided by their sum, so `weight` is the part's share whatever the history's length.
    """

    name: str
    table: Neighbours
    weight: float = 1.0
    decay: float = 1.0
    unit: Unit = "event"
