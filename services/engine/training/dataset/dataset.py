"""Training data: interactions as plain columns, sorted by user, then time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.engine.recipes.elsewhere import Counts
from services.engine.training.dataset.columns import MEMORY, Column, Room, rest, tally
from services.engine.training.dataset.reader import Rows
from shared.events import canonical_type
from shared.models.attributes import NumberKind

# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any

_LARGEST_CELL = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Dataset:
    """Interactions, items and users of one dataset group.

    `users` and `items` number into `user_ids` and `item_ids`, which are sorted and also hold users
    and items without interactions. There is one row per user, item, second and event type, sorted by
    user, time, item and type. `times` are epoch seconds, `event_types` number into
    `event_type_names` (canonical names; "" where none was given), `values` are NaN where none was.
    Attribute columns lie beside `item_ids` and `user_ids`: float64 with NaN, or objects with None; `kinds`
    says of those of numbers what they were, by the type of the dataset.
    `elsewhere` is what a second compute backend adds up, over more interactions than are held here.
    Long columns, and those made of them, lie in `room`. `left_out` counts the interactions whose
    value no event may have, and which count without it.
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
    elsewhere: Counts | None = None
    room: Room = MEMORY
    left_out: int = 0

    @classmethod
    def from_arrow(
        cls, interactions: pa.Table, items: pa.Table | None = None, users: pa.Table | None = None
    ) -> Dataset:
        """Read tables with Personalize's column names, in any order of rows."""
        return cls.read([interactions], len(interactions), items, users)

    @classmethod
    def read(
        cls,
        interactions: Iterable[pa.Table],
        most: int,
        items: pa.Table | None = None,
        users: pa.Table | None = None,
        room: Room = MEMORY,
    ) -> Dataset:
        """Read `most` interactions at most, a table at a time.

        Ids and types of interactions may be dictionary-encoded, which takes a tenth of the memory.
        Interactions without user, item or time are left out. Of rows that agree in user, item, second
        and type, the one with the largest value is kept, so the order of the rows never matters.
        """
        rows = Rows.of(interactions, most, room)
        user_ids, item_ids, names, columns = rows.ordered(_ids(users, "USER_ID"), _ids(items, "ITEM_ID"))
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
            room=room,
            left_out=rows.left_out,
        )

    def __len__(self) -> int:
        return len(self.users)

    def where(self, kept: NDArray[Any]) -> Dataset:
        """The same users and items with some of the interactions (a mask or sorted places)."""
        if kept.dtype == bool and kept.all():
            return replace(self, elsewhere=None)
        copied = self.room.copied
        return replace(
            self,
            users=copied(self.users, kept),
            items=copied(self.items, kept),
            times=copied(self.times, kept),
            event_types=copied(self.event_types, kept),
            values=copied(self.values, kept),
            elsewhere=None,
        )

    @property
    def columns(self) -> tuple[Column, ...]:
        """What there is one of for each interaction."""
        return self.users, self.items, self.times, self.event_types, self.values

    @property
    def active(self) -> int:
        """How many users have interactions."""
        return int(np.count_nonzero(self.users[1:] != self.users[:-1])) + 1 if len(self) else 0

    def count(self, event_type: str) -> int:
        """How many interactions are of a type, however it is spelled."""
        names = self.event_type_names
        wanted = canonical_type(event_type)
        return int((self.event_types == names.index(wanted)).sum()) if wanted in names else 0

    def chunks(self, most: int | None = None) -> Iterator[Dataset]:
        """The interactions in pieces of some millions, whole users each: what is made of them is bounded."""
        most = self.room.at_once if most is None else most
        begin = 0
        while begin < len(self):
            last = self.users[min(begin + most, len(self)) - 1]
            end = int(np.searchsorted(self.users, last, side="right"))
            yield self.between(begin, end)
            rest(*self.columns)
            begin = end

    def between(self, begin: int, end: int) -> Dataset:
        """The same users and items with the interactions from one place to another; views, no copies."""
        some = slice(begin, end)
        return replace(
            self,
            users=self.users[some],
            items=self.items[some],
            times=self.times[some],
            event_types=self.event_types[some],
            values=self.values[some],
            elsewhere=None,
        )

    def offsets(self) -> NDArray[np.int64]:
        """Where each user's interactions begin: user u owns offsets[u]:offsets[u + 1]."""
        counts = tally(self.users, len(self.user_ids))
        return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _ids(table: pa.Table | None, key: str) -> Arrow | None:
    """The distinct ids of a table."""
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
    """A table's columns beside `ids`; the last row of an id wins."""
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
            columns[name] = np.where(np.abs(numbers) <= _LARGEST_CELL, numbers, np.nan)
        else:
            columns[name] = np.array(column.to_pylist(), object)
    return columns
