"""Item-item tables: each item's strongest neighbours with weights, as compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["event", "second", "day"]

_MAX_PADDING = 2.0
"""A padded table may be so many times as large as the table itself."""


@dataclass(frozen=True)
class Neighbours:
    """CSR float32[items, items]: row i is `items[offsets[i]:offsets[i + 1]]` with `weights`, best first."""

    kind: ClassVar[str] = "neighbours"

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]

    def row(self, item: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return one item's neighbours and their weights: int32[neighbours] and float32[neighbours]."""
        begin, end = self.offsets[item], self.offsets[item + 1]
        return self.items[begin:end], self.weights[begin:end]

    @cached_property
    def width(self) -> int:
        """The length of the longest row."""
        return int(np.diff(self.offsets).max(initial=0))

    @cached_property
    def is_rectangular(self) -> bool:
        """True if all rows have the same length."""
        return len(self.items) == self.width * (len(self.offsets) - 1)

    def padded(self) -> Neighbours:
        """Return the table with rows of equal length where that costs little: those are read faster.

        The padding has weight 0, so scores stay the same; such a table is for components, not for lists.
        """
        count = len(self.offsets) - 1
        if self.is_rectangular or self.width * count > _MAX_PADDING * len(self.items):
            return self
        lengths = np.diff(self.offsets)
        real = np.arange(self.width) < lengths[:, None]
        items = np.zeros(real.shape, np.int32)
        weights = np.zeros(real.shape, np.float32)
        items[real], weights[real] = self.items, self.weights
        offsets = np.arange(count + 1, dtype=np.int64) * self.width
        return Neighbours(offsets, items.reshape(-1), weights.reshape(-1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model folder keeps them: CSR float32[items, items]."""
        return {"offsets": self.offsets, "items": self.items, "weights": self.weights}

    def settings(self) -> dict[str, float]:
        """Return the numbers that a model folder keeps beside the arrays: none."""
        return {}
