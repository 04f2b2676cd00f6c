"""Under which circumstances items are met: the values of the interactions' own columns, counted by file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.models import Context, Ids

MOST_VALUES = 1000
"""So many values of a column are kept, the most frequent ones: a column may have another one in every row."""

# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any


@dataclass
class Tally:
    """Adds up, of some columns, how often each item was met with each value."""

    columns: Sequence[str]
    _counts: dict[str, list[pa.Table]] = field(default_factory=dict)

    def add(self, interactions: pa.Table) -> None:
        """Count some rows; they need not have every column."""
        for name in self.columns:
            if name not in interactions.column_names:
                continue
            columns = (interactions["ITEM_ID"], interactions[name])
            pairs = pa.table([pc.cast(column, pa.string()) for column in columns], ["item", "value"])
            pairs = pairs.drop_null()
            found = pairs.group_by(["item", "value"]).aggregate([([], "count_all")])
            self._counts.setdefault(name, []).append(found)

    def context(self, columns: Sequence[str] | None, items: Ids) -> Context:
        """What was counted of the items of a model; `columns` are all that a request may name."""
        counted = [name for name in self.columns if name in self._counts]
        values: list[str] = []
        offsets, numbers, counts = [0], [np.zeros(0, np.int64)], [np.zeros(0)]
        met = np.zeros((len(counted), len(items)), np.float32)
        for column, name in enumerate(counted):
            found = _summed(self._counts[name], items)
            for value, at, often in _by_value(found):
                values.append(f"{column}:{value}")
                numbers.append(at)
                counts.append(often)
                offsets.append(offsets[-1] + len(at))
            met[column] = np.bincount(found.numbers, found.counts, minlength=len(items))
        return Context(
            None if columns is None else tuple(columns),
            tuple(counted),
            Ids.of(values),
            np.array(offsets, np.int64),
            np.concatenate(numbers).astype(np.int32),
            np.concatenate(counts).astype(np.float32),
            met,
        )


@dataclass(frozen=True, slots=True)
class _Counted:
    """How often an item (by its number) was met with a value, a place for each such pair."""

    numbers: np.ndarray
    values: np.ndarray
    counts: np.ndarray


def _summed(tables: list[pa.Table], items: Ids) -> _Counted:
    """The counts of all files, of the items that the model has."""
    summed: Arrow = pa.concat_tables(tables).group_by(["item", "value"]).aggregate([("count_all", "sum")])
    known = items.numbers
    numbers = np.array([known.get(item, -1) for item in summed["item"].to_pylist()], np.int64)
    kept = numbers >= 0
    values = np.array(summed["value"].to_pylist(), object)
    counts = summed["count_all_sum"].to_numpy().astype(np.float64)
    return _Counted(numbers[kept], values[kept], counts[kept])


def _by_value(found: _Counted) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Of the most frequent values, in their order, the items and how often each was met."""
    values, which = np.unique(found.values.astype(str), return_inverse=True)
    totals = np.bincount(which, found.counts, minlength=len(values))
    kept = np.sort(np.argsort(-totals, kind="stable")[:MOST_VALUES])
    order = np.lexsort((found.numbers, which))
    begins = np.searchsorted(which[order], np.arange(len(values) + 1))
    chosen = [(str(values[value]), order[begins[value] : begins[value + 1]]) for value in kept.tolist()]
    return [(value, found.numbers[rows], found.counts[rows]) for value, rows in chosen]
