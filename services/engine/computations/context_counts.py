"""Counts of items by the values of context columns (metadata of the interactions), file by file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.engine.computations.computation import Arrow
from shared.models import Context, Ids

MAX_VALUES = 1000
"""The most frequent values of a column that are kept (arbitrary): it may have a new one in every row."""


@dataclass
class ContextCounter:
    """Counts how often each item occurs with each value of the context columns."""

    columns: Sequence[str]
    _counts: dict[str, list[pa.Table]] = field(default_factory=dict)

    def add(self, interactions: pa.Table) -> None:
        """Count rows of interactions; a table may lack some of the columns."""
        for name in self.columns:
            if name not in interactions.column_names:
                continue
            columns = (interactions["ITEM_ID"], interactions[name])
            pairs = pa.table([pc.cast(column, pa.string()) for column in columns], ["item", "value"])
            pairs = pairs.drop_null()
            counts = pairs.group_by(["item", "value"]).aggregate([([], "count_all")])
            self._counts.setdefault(name, []).append(counts)

    def context(self, columns: Sequence[str] | None, items: Ids) -> Context:
        """Return the counts for the items of a model; `columns` are all that a request may name."""
        counted = [name for name in self.columns if name in self._counts]
        values: list[str] = []
        offsets, indices, counts = [0], [np.zeros(0, np.int64)], [np.zeros(0)]
        totals = np.zeros((len(counted), len(items)), np.float32)
        for column, name in enumerate(counted):
            pairs = _summed(self._counts[name], items)
            for value, value_items, value_counts in _by_value(pairs):
                values.append(f"{column}:{value}")
                indices.append(value_items)
                counts.append(value_counts)
                offsets.append(offsets[-1] + len(value_items))
            totals[column] = np.bincount(pairs.items, pairs.counts, minlength=len(items))
        return Context(
            None if columns is None else tuple(columns),
            tuple(counted),
            Ids.of(values),
            np.array(offsets, np.int64),
            np.concatenate(indices).astype(np.int32),
            np.concatenate(counts).astype(np.float32),
            totals,
        )


@dataclass(frozen=True, slots=True)
class _PairCounts:
    """The number of events of each pair of an item and a value, in parallel arrays."""

    items: NDArray[np.int64]
    values: NDArray[np.object_]
    counts: NDArray[np.float64]


def _summed(tables: list[pa.Table], items: Ids) -> _PairCounts:
    """Add up the counts of all files, for the items that the model has."""
    summed: Arrow = pa.concat_tables(tables).group_by(["item", "value"]).aggregate([("count_all", "sum")])
    index_of = items.numbers
    indices = np.array([index_of.get(item, -1) for item in summed["item"].to_pylist()], np.int64)
    kept = indices >= 0
    values = np.array(summed["value"].to_pylist(), object)
    counts = summed["count_all_sum"].to_numpy().astype(np.float64)
    return _PairCounts(indices[kept], values[kept], counts[kept])


def _by_value(pairs: _PairCounts) -> list[tuple[str, NDArray[np.int64], NDArray[np.float64]]]:
    """Return the most frequent values, sorted, each with its items (ascending) and their counts."""
    values, value_of = np.unique(pairs.values.astype(str), return_inverse=True)
    totals = np.bincount(value_of, pairs.counts, minlength=len(values))
    kept = np.sort(np.argsort(-totals, kind="stable")[:MAX_VALUES])
    order = np.lexsort((pairs.items, value_of))
    begins = np.searchsorted(value_of[order], np.arange(len(values) + 1))
    rows_by_value = [
        (str(values[value]), order[begins[value] : begins[value + 1]]) for value in kept.tolist()
    ]
    return [(value, pairs.items[rows], pairs.counts[rows]) for value, rows in rows_by_value]
