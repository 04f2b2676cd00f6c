"""Training data: interactions as plain columns, sorted by user, then time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy
from numpy.typing import NDArray

from services.engine.training.dataset.aggregates import EventRule, MatrixRequest
from services.engine.training.dataset.columns import (
    MEMORY,
    Column,
    ColumnStorage,
    count_numbers,
    release_pages,
)
from services.engine.training.dataset.reader import InteractionReader
from shared.events import canonical_type
from shared.models.attributes import NumberKind

# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any

_MAX_CELL = float(np.finfo(np.float32).max)


class DistributedAggregates(Protocol):
    """Sums over the users of a dataset that is not, or not wholly, in memory."""

    def counting(self, rule: EventRule) -> DistributedAggregates:
        """Return the same sums over the interactions that count."""
        ...

    def without(self, users: Collection[str], *, but: Dataset) -> DistributedAggregates:
        """Return the same sums without the interactions of some users, except for those of `but`."""
        ...

    def matrix(self, request: MatrixRequest) -> scipy.sparse.csr_array:
        """Return the matrix in the dataset's numbers of items: CSR float64[items, items]."""
        ...


@dataclass(frozen=True)
class Dataset:
    """Interactions, items and users of one dataset group.

    `users` and `items` are positions in `user_ids` and `item_ids`, which are sorted and also hold users
    and items without interactions. There is one row per user, item, second and event type, sorted by
    user, time, item and type. `times` are epoch seconds, `event_types` positions in
    `event_type_names` (canonical names; "" for rows without a type), `values` are NaN for rows without a
    value. Attribute columns lie beside `item_ids` and `user_ids`: float64 with NaN, or objects with None;
    `kinds` are the schema types of numeric ones, by the type of the dataset.
    `aggregates` are sums by a second compute backend, over more interactions than are held here.
    Long columns, and those computed from them, lie in `storage`. `dropped_values` counts the interactions
    that count without their value, which is larger than an event may have.
    """

    user_ids: Column
    item_ids: Column
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    times: NDArray[np.int64]
    event_types: NDArray[np.int16]
    event_type_names: tuple[str, ...]
    values: NDArray[np.float32]
    item_columns: Mapping[str, Column] = field(default_factory=dict)
    user_columns: Mapping[str, Column] = field(default_factory=dict)
    kinds: Mapping[str, Mapping[str, NumberKind]] = field(default_factory=dict)
    aggregates: DistributedAggregates | None = None
    storage: ColumnStorage = MEMORY
    dropped_values: int = 0

    @classmethod
    def from_arrow(
        cls, interactions: pa.Table, items: pa.Table | None = None, users: pa.Table | None = None
    ) -> Dataset:
        """Read tables with Personalize's column names, with rows in any order."""
        return cls.read([interactions], len(interactions), items, users)

    @classmethod
    def read(
        cls,
        interactions: Iterable[pa.Table],
        capacity: int,
        items: pa.Table | None = None,
        users: pa.Table | None = None,
        storage: ColumnStorage = MEMORY,
    ) -> Dataset:
        """Read up to `capacity` interactions, a table at a time.

        Ids and types of interactions may be dictionary-encoded, which takes a tenth of the memory.
        Interactions without user, item or time are left out. Of rows that agree in user, item, second
        and type, the one with the largest value is kept, so the order of the rows never matters.
        """
        reader = InteractionReader.of(interactions, capacity, storage)
        user_ids, item_ids, names, columns = reader.sorted_columns(
            _ids(users, "USER_ID"), _ids(items, "ITEM_ID")
        )
        return cls(
            user_ids=_strings(user_ids),
            item_ids=_strings(item_ids),
            event_type_names=names,
            item_columns=_attributes(items, "ITEM_ID", item_ids),
            user_columns=_attributes(users, "USER_ID", user_ids),
            kinds={"ITEMS": _number_kinds(items), "USERS": _number_kinds(users)},
            users=columns["users"],
            items=columns["items"],
            times=columns["times"],
            event_types=columns["event_types"],
            values=columns["values"],
            storage=storage,
            dropped_values=reader.dropped_values,
        )

    def __len__(self) -> int:
        return len(self.users)

    def where(self, rows: NDArray[Any]) -> Dataset:
        """Return the same users and items with some of the interactions: a bool mask or sorted positions."""
        if rows.dtype == bool and rows.all():
            return replace(self, aggregates=None)
        selected = self.storage.selected
        return replace(
            self,
            users=selected(self.users, rows),
            items=selected(self.items, rows),
            times=selected(self.times, rows),
            event_types=selected(self.event_types, rows),
            values=selected(self.values, rows),
            aggregates=None,
        )

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of interactions, dtype[interactions] each."""
        return self.users, self.items, self.times, self.event_types, self.values

    @property
    def active_users(self) -> int:
        """Return how many users have interactions."""
        return int(np.count_nonzero(self.users[1:] != self.users[:-1])) + 1 if len(self) else 0

    def count(self, event_type: str) -> int:
        """Return how many interactions are of a type, in any spelling."""
        names, canonical = self.event_type_names, canonical_type(event_type)
        return int((self.event_types == names.index(canonical)).sum()) if canonical in names else 0

    def chunks(self, max_rows: int | None = None) -> Iterator[Dataset]:
        """Yield the interactions in pieces of whole users, of about `max_rows` or the storage's size."""
        max_rows = self.storage.rows_per_piece if max_rows is None else max_rows
        begin = 0
        while begin < len(self):
            last = self.users[min(begin + max_rows, len(self)) - 1]
            end = int(np.searchsorted(self.users, last, side="right"))
            yield self.between(begin, end)
            release_pages(*self.columns)
            begin = end

    def between(self, begin: int, end: int) -> Dataset:
        """Return the same users and items with the interactions `begin` to `end`, as views."""
        rows = slice(begin, end)
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            times=self.times[rows],
            event_types=self.event_types[rows],
            values=self.values[rows],
            aggregates=None,
        )

    def offsets(self) -> NDArray[np.int64]:
        """Return where users' interactions begin: user u owns offsets[u]:offsets[u + 1]; int64[users + 1]."""
        counts = count_numbers(self.users, len(self.user_ids))
        return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _ids(table: pa.Table | None, key: str) -> Arrow | None:
    """Return the distinct ids of a table."""
    return None if table is None else pc.drop_null(pc.unique(table[key].cast(pa.string())))


def _strings(ids: Arrow) -> Column:
    return np.array(ids.to_pylist(), object)


def _number_kinds(table: Arrow) -> dict[str, NumberKind]:
    kinds: dict[str, NumberKind] = {}
    for column in table.schema if table is not None else ():
        if pa.types.is_integer(column.type):
            kinds[column.name] = "whole"
        elif pa.types.is_floating(column.type):
            kinds[column.name] = "double" if pa.types.is_float64(column.type) else "float"
    return kinds


def _attributes(table: pa.Table | None, key: str, ids: Arrow) -> dict[str, Column]:
    """Return a table's columns with one cell per id, from the last row of that id."""
    if table is None:
        return {}
    backwards = table.take(np.arange(len(table))[::-1])
    rows: Arrow = pc.index_in(ids, value_set=backwards[key].cast(pa.string()).combine_chunks())
    columns = {}
    for name in table.column_names:
        if name == key:
            continue
        column: Arrow = backwards[name].combine_chunks().take(rows)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            numbers = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy()
            # No price is infinite: sums and means over such a column would say nothing.
            columns[name] = np.where(np.abs(numbers) <= _MAX_CELL, numbers, np.nan)
        else:
            columns[name] = np.array(column.to_pylist(), object)
    return columns
