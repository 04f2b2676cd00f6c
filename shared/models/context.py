"""Context: how much more, or less, an item was met under the circumstances of a request than otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.events.spellings import folded
from shared.models.ids import Ids
from shared.models.scoring import Scores

PRIOR = 10.0
"""So many events, spread as those of all items are, stand beside an item's own."""
MOST = 4.0
"""No context makes an item more than so many times as likely, or unlikely."""


@dataclass(frozen=True)
class Context:
    """The metadata columns of the interactions, and how often items were met with their values.

    `columns` are None where nobody knows them: without a dataset of interactions, or in a model that was
    saved before they were kept. `counted` are those of them that were counted. `values` are their values,
    each behind the number of its column in `counted`; the items of a value, and how often each was met with
    it, lie from `offsets[value]` to `offsets[value + 1]`. `met` says how often each item was met with any
    value of a counted column, (counted, items).
    """

    columns: tuple[str, ...] | None = None
    counted: tuple[str, ...] = ()
    values: Ids = field(default_factory=lambda: Ids.of([]))
    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    items: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    counts: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    met: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def unknown(self, names: Mapping[str, str]) -> list[str]:
        """The names that are no columns; none where nobody knows the columns."""
        if self.columns is None:
            return []
        known = {folded(name) for name in self.columns}
        return [name for name in names if folded(name) not in known]

    def factor(self, given: Mapping[str, str]) -> Scores | None:
        """What to multiply items' scores with, by their numbers; None where nothing was counted.

        Of each column P(value | item) / P(value), the item's share smoothed by what holds for all items:
        what Bayes' rule gives for columns that have nothing to do with each other or with the user.
        """
        factor: Scores | None = None
        for name, value in given.items():
            lift = self._lift(name, value)
            if lift is not None:
                factor = lift if factor is None else factor * lift
        return None if factor is None else np.clip(factor, 1 / MOST, MOST)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {
            **{f"values-{name}": array for name, array in self.values.arrays().items()},
            "offsets": self.offsets,
            "items": self.items,
            "counts": self.counts,
            "met": self.met,
        }

    def _lift(self, name: str, value: str) -> Scores | None:
        column = next((n for n, known in enumerate(self.counted) if folded(known) == folded(name)), None)
        number = None if column is None else self.values.find(f"{column}:{value}")
        if column is None or number is None:
            return None
        some = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        met = self.met[column].astype(np.float64)
        with_value = np.zeros(len(met))
        with_value[self.items[some]] = self.counts[some]
        lift: Scores = (with_value / (with_value.sum() / met.sum()) + PRIOR) / (met + PRIOR)
        return lift
