"""Item-item tables: each item's nearest items with weights, as compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["event", "second", "day"]

_MOST_PADDING = 2.0


@dataclass(frozen=True)
class Neighbours:
    """Row i holds `items[offsets[i]:offsets[i + 1]]` and their `weights`, strongest first."""

    kind: ClassVar[str] = "neighbours"

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]

    def row(self, item: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """One item's neighbours and their weights."""
        begin, end = self.offsets[item], self.offsets[item + 1]
        return self.items[begin:end], self.weights[begin:end]

    @cached_property
    def width(self) -> int:
        """The length of the longest row."""
        return int(np.diff(self.offsets).max(initial=0))

    @cached_property
    def even(self) -> bool:
        """Whether all rows are that long."""
        return len(self.items) == self.width * (len(self.offsets) - 1)

    def evened(self) -> Neighbours:
        """All rows at the longest one's length, where that costs little: even rows are read faster.

        The padding weighs nothing, so scores stay the same; such a table is for parts, not for lists.
        """
        count = len(self.offsets) - 1
        if self.even or self.width * count > _MOST_PADDING * len(self.items):
            return self
        lengths = np.diff(self.offsets)
        real = np.arange(self.width) < lengths[:, None]
        items = np.zeros(real.shape, np.int32)
        weights = np.zeros(real.shape, np.float32)
        items[real], weights[real] = self.items, self.weights
        offsets = np.arange(count + 1, dtype=np.int64) * self.width
        return Neighbours(offsets, items.reshape(-1), weights.reshape(-1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {"offsets": self.offsets, "items": self.items, "weights": self.weights}

    def settings(self) -> dict[str, float]:
        """What a model folder keeps beside the arrays: nothing."""
        return {}
