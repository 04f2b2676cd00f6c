"""aws-item-attribute-affinity: the users who will most likely turn to items with given attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.evaluation import segment_metrics
from services.engine.training.fitting import Progress
from services.engine.training.recipes import segment_item_affinity
from services.engine.training.recipes.recipe import Recipe
from shared.errors import Permanent
from shared.models import Model

NAME = "aws-item-attribute-affinity"

_MAX_VALUES = 0.5
"""A column with more distinct values than this share of the items is a name or a text, not a category."""


class ItemsByAttribute:
    """The items of a model by the values of their attributes; a cell may have several values between bars."""

    def __init__(self, model: Model) -> None:
        """Index each column on its first use."""
        self._attributes = model.item_attributes
        self._names = {name.upper(): name for name in model.item_attributes.columns}
        self._columns: dict[str, dict[str, list[int]]] = {}

    def matching(self, conditions: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
        """Return the items that have every (column, value): int64[items].

        Raises Permanent for an unknown column.
        """
        return reduce(np.intersect1d, [self._having(column, value) for column, value in conditions])

    def values(self, column: str) -> dict[str, list[int]]:
        """Return the items of each value of a text column."""
        name = self._names[column.upper()]
        if name not in self._columns:
            index: dict[str, list[int]] = {}
            for number, cell in enumerate(self._cells(name)):
                for value in set(cell.split("|")) if isinstance(cell, str) else ():
                    index.setdefault(value, []).append(number)
            self._columns[name] = index
        return self._columns[name]

    def _cells(self, name: str) -> NDArray[Any]:
        cells = self._attributes.values(name)
        assert cells is not None
        return cells

    def _having(self, column: str, value: str) -> NDArray[np.int64]:
        name = self._names.get(column.upper())
        if name is None:
            known = ", ".join(sorted(self._names.values())) or "none"
            raise Permanent(f"The items have no column {column}; their columns are: {known}.")
        cells = self._cells(name)
        if cells.dtype.kind == "f":
            try:
                return np.flatnonzero(cells == float(value))
            except ValueError:
                raise Permanent(f"The column {name} holds numbers, and {value!r} is none.") from None
        return np.array(self.values(name).get(value, []), np.int64)


def _fit(
    dataset: Dataset, config: TrainingConfig, progress: Progress, warm_start: Model | None = None
) -> Model:
    return replace(segment_item_affinity.fit(dataset, config, progress, warm_start), recipe=NAME)


def _metrics(
    dataset: Dataset, config: TrainingConfig, progress: Progress
) -> tuple[Model | None, dict[str, float]]:
    return segment_metrics.offline_metrics(_fit, _targets, dataset, config, progress)


def _targets(model: Model, relevant: Dataset) -> Sequence[NDArray[np.int64]]:
    """Return the items of each value of each category column, if any of them is relevant."""
    by_attribute, relevant_items = ItemsByAttribute(model), set(np.unique(relevant.items).tolist())
    return [
        np.array(items)
        for name, column in model.item_attributes.columns.items()
        if not isinstance(column, np.ndarray)
        for values in [by_attribute.values(name)]
        if len(values) <= max(2, _MAX_VALUES * len(model.items))
        for items in values.values()
        if not relevant_items.isdisjoint(items)
    ]


RECIPE = Recipe(
    name=NAME,
    recipe_type="USER_SEGMENTATION",
    description="Users who will most likely turn to items with some attributes; for batch segment jobs.",
    fit=_fit,
    offline_metrics=_metrics,
    needs=("itemAttributes",),
)
