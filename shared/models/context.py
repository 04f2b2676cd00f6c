"""Context: how much more or less often an item is met under the conditions of a request than otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.events.field_aliases import normalized_name
from shared.models.ids import Ids
from shared.models.scoring import Scores

PRIOR = 10.0
"""Events with the distribution of all items that are added to an item's own. Arbitrary."""
MAX_FACTOR = 4.0
"""Bound of the factor of one item, and of its inverse. Arbitrary."""


@dataclass(frozen=True)
class Context:
    """The metadata columns of the interactions, and how often each item was met with each value.

    `columns` is None where the columns are unknown: without a dataset of interactions, or in a model that was
    saved before they were kept. `counted` are the columns whose values were counted. `values` are those
    values, each as "<position in counted>:<value>"; the items of a value, and how often each was met with
    it, are `offsets[value]` to `offsets[value + 1]` of `items` and `counts`. `totals`,
    float32[counted, items], is how often each item was met with any value of a counted column.
    """

    columns: tuple[str, ...] | None = None
    counted: tuple[str, ...] = ()
    values: Ids = field(default_factory=lambda: Ids.of([]))
    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    items: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    counts: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    totals: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def unknown(self, names: Mapping[str, str]) -> list[str]:
        """Return the names that are no columns; none of them where the columns are unknown."""
        if self.columns is None:
            return []
        known = {normalized_name(name) for name in self.columns}
        return [name for name in names if normalized_name(name) not in known]

    def factor(self, context: Mapping[str, str]) -> Scores | None:
        """Return the factors of items' scores, float64[items]; None where nothing was counted.

        The factor of a column is P(value | item) / P(value), the item's share smoothed by that of all items:
        Bayes' rule for columns that are independent of each other and of the user.
        """
        factor: Scores | None = None
        for name, value in context.items():
            lift = self._lift(name, value)
            if lift is not None:
                factor = lift if factor is None else factor * lift
        return None if factor is None else np.clip(factor, 1 / MAX_FACTOR, MAX_FACTOR)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model folder keeps them: CSR float32[values, items] and totals."""
        return {
            **{f"values-{name}": array for name, array in self.values.arrays().items()},
            "offsets": self.offsets,
            "items": self.items,
            "counts": self.counts,
            "met": self.totals,
        }

    def _lift(self, name: str, value: str) -> Scores | None:
        column = next(
            (n for n, known in enumerate(self.counted) if normalized_name(known) == normalized_name(name)),
            None,
        )
        number = None if column is None else self.values.find(f"{column}:{value}")
        if column is None or number is None:
            return None
        entries = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        totals = self.totals[column].astype(np.float64)
        with_value = np.zeros(len(totals))
        with_value[self.items[entries]] = self.counts[entries]
        lift: Scores = (with_value / (with_value.sum() / totals.sum()) + PRIOR) / (totals + PRIOR)
        return lift
