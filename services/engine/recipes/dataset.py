"""Training data in memory: interactions as plain columns, sorted by user, then time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.engine.recipes.elsewhere import Counts
from shared.events import canonical_type

Column = NDArray[Any]
# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any

MOST_TYPES = 1000
"""So many event types are told apart, the most frequent ones: whoever may send events may make up types."""


@dataclass(frozen=True)
class Dataset:
    """Interactions, items and users of one dataset group.

    `users` and `items` number into `user_ids` and `item_ids`, which are sorted and also hold users
    and items without interactions. There is one row per user, item, second and event type, sorted by
    user, time, item and type. `times` are epoch seconds, `event_types` number into
    `event_type_names` (canonical names; "" where none was given), `values` are NaN where none was.
    Attribute columns lie beside `item_ids` and `user_ids`: float64 with NaN, or objects with None.
    `elsewhere` is what a second compute backend adds up, over more interactions than are held here.
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
    elsewhere: Counts | None = None

    @classmethod
    def from_arrow(
        cls, interactions: pa.Table, items: pa.Table | None = None, users: pa.Table | None = None
    ) -> Dataset:
        """Read tables with Personalize's column names, in any order of rows.

        Ids and types of interactions may be dictionary-encoded, which takes a tenth of the memory.
        Interactions without user, item or time are left out. Of rows that agree in user, item, second
        and type, the one with the largest value is kept, so the order of the rows never matters.
        """
        interactions = _complete(interactions)
        user_ids = _distinct("USER_ID", interactions, users)
        item_ids = _distinct("ITEM_ID", interactions, items)
        names, types = _types(interactions)
        columns = {
            "users": _codes(interactions["USER_ID"], user_ids),
            "items": _codes(interactions["ITEM_ID"], item_ids),
            "times": _seconds(interactions["TIMESTAMP"]),
            "event_types": types,
            "values": _values(interactions),
        }
        del interactions
        kept = _distinct_rows(columns)
        return cls(
            user_ids=_strings(user_ids),
            item_ids=_strings(item_ids),
            users=columns.pop("users")[kept],
            items=columns.pop("items")[kept],
            times=columns.pop("times")[kept],
            event_types=columns.pop("event_types")[kept],
            values=columns.pop("values")[kept],
            event_type_names=names,
            item_columns=_attributes(items, "ITEM_ID", item_ids),
            user_columns=_attributes(users, "USER_ID", user_ids),
        )

    def __len__(self) -> int:
        return len(self.users)

    def where(self, kept: NDArray[Any]) -> Dataset:
        """The same users and items with some of the interactions (a mask or sorted places)."""
        if kept.dtype == bool and kept.all():
            return replace(self, elsewhere=None)
        return replace(
            self,
            users=self.users[kept],
            items=self.items[kept],
            times=self.times[kept],
            event_types=self.event_types[kept],
            values=self.values[kept],
            elsewhere=None,
        )

    def count(self, event_type: str) -> int:
        """How many interactions are of a type, however it is spelled."""
        names = self.event_type_names
        wanted = canonical_type(event_type)
        return int((self.event_types == names.index(wanted)).sum()) if wanted in names else 0

    def chunks(self, most: int = 2_000_000) -> Iterator[Dataset]:
        """The interactions in pieces of some millions, whole users each: what is made of them is bounded."""
        begin = 0
        while begin < len(self):
            last = self.users[min(begin + most, len(self)) - 1]
            end = int(np.searchsorted(self.users, last, side="right"))
            yield self.between(begin, end)
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
        counts = np.bincount(self.users, minlength=len(self.user_ids))
        return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _complete(interactions: pa.Table) -> Arrow:
    """Without the rows that lack user, item or time, and with each id's text but once."""
    present = [pc.is_valid(interactions[name]) for name in ("USER_ID", "ITEM_ID", "TIMESTAMP")]
    kept: Arrow = pc.and_(pc.and_(present[0], present[1]), present[2])
    if not pc.all(kept).as_py():
        interactions = interactions.filter(kept)
    for place, name in enumerate(interactions.column_names):
        if name in {"USER_ID", "ITEM_ID", "EVENT_TYPE"}:
            interactions = interactions.set_column(place, name, _encoded(interactions[name]))
    return interactions


def _encoded(column: Arrow) -> Arrow:
    """Texts as numbers into one dictionary for all chunks, of which there is one at least."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    if not column.num_chunks:
        return pa.chunked_array([pa.array([], column.type)])
    return column.unify_dictionaries()


def _used(column: Arrow) -> Arrow:
    """Which texts of an encoded column's dictionary occur in it."""
    used = np.zeros(len(column.chunk(0).dictionary), bool)
    for chunk in column.chunks:
        used[pc.drop_null(chunk.indices).to_numpy()] = True
    return pa.array(used)


def _mapped(column: Arrow, numbers: Column) -> Column:
    """For each row of an encoded column, the number of its text; the last one is that of null."""
    mapped = np.empty(len(column), numbers.dtype)
    begin = 0
    for chunk in column.chunks:
        places = pc.fill_null(chunk.indices, len(numbers) - 1).to_numpy()
        np.take(numbers, places, out=mapped[begin : begin + len(chunk)], mode="clip")
        begin += len(chunk)
    return mapped


def _distinct(name: str, interactions: Arrow, others: pa.Table | None) -> Arrow:
    """The ids of both tables, sorted."""
    column = interactions[name]
    chunks = [column.chunk(0).dictionary.filter(_used(column))]
    if others is not None:
        chunks.append(pc.drop_null(pc.unique(others[name].cast(pa.string()))))
    ids: Arrow = pc.unique(pa.chunked_array(chunks, pa.string()))
    return ids.take(pc.sort_indices(ids))


def _strings(ids: Arrow) -> Column:
    return np.array(ids.to_pylist(), object)


def _codes(column: Arrow, ids: Arrow) -> NDArray[np.int32]:
    """The place among `ids` of each text of an encoded column without nulls."""
    found: Arrow = pc.index_in(column.chunk(0).dictionary, value_set=ids)
    places = pc.fill_null(found, -1).to_numpy().astype(np.int32)
    return _mapped(column, np.append(places, np.int32(-1)))


def _seconds(column: Arrow) -> Column:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s"), safe=False)
    seconds: NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return seconds


def _types(interactions: pa.Table) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    if "EVENT_TYPE" not in interactions.column_names:
        return ("",), np.zeros(len(interactions), np.int16)
    column: Arrow = interactions["EVENT_TYPE"]
    canonical = [canonical_type(spelling) for spelling in column.chunk(0).dictionary.to_pylist()]
    counts: Counter[str] = Counter()
    for chunk in column.chunks:
        times = np.bincount(pc.drop_null(chunk.indices).to_numpy(), minlength=len(canonical)).tolist()
        for place, count in enumerate(times):
            if count:
                counts[canonical[place]] += count
    kept = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_TYPES]
    has_others = column.null_count or len(kept) < len(counts) or not kept
    names = tuple(sorted({*kept, ""} if has_others else kept))
    numbered = {name: number for number, name in enumerate(names)}
    other = numbered.get("", 0)
    return names, _mapped(
        column, np.array([numbered.get(name, other) for name in [*canonical, ""]], np.int16)
    )


def _values(interactions: pa.Table) -> NDArray[np.float32]:
    if "EVENT_VALUE" not in interactions.column_names:
        return np.full(len(interactions), np.nan, np.float32)
    column: Arrow = interactions["EVENT_VALUE"].cast(pa.float32())
    values: NDArray[np.float32] = pc.fill_null(column, float("nan")).to_numpy()
    return values


def _distinct_rows(columns: Mapping[str, Column]) -> NDArray[np.int64]:
    """Places of the rows to keep, in the order of user, time, item, type.

    One number, a user's second, sorts by user and time: most rows are alone in theirs, and only the
    others are compared by what else there is to them.
    """
    moments = _moments(columns["users"], columns["times"])
    order = np.argsort(moments)
    moments = moments[order]
    alike = np.zeros(len(order), bool)
    alike[1:] = moments[1:] == moments[:-1]
    together = np.flatnonzero(alike | np.append(alike[1:], False))
    some, moments = order[together], moments[together]
    largest_first = -np.nan_to_num(columns["values"][some], nan=-np.inf)
    items, types = columns["items"][some], columns["event_types"][some]
    ordered = np.lexsort((largest_first, types, items, moments))
    order[together] = some[ordered]
    again = np.zeros(len(some), bool)
    again[1:] = True
    for key in (moments, items[ordered], types[ordered]):
        again[1:] &= key[1:] == key[:-1]
    kept = np.ones(len(order), bool)
    kept[together[again]] = False
    return order[kept]


def _moments(users: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each user and second, in their order."""
    first, last = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    if (last - first + 1) * (int(users.max(initial=0)) + 1) > np.iinfo(np.int64).max:
        _, times = np.unique(times, return_inverse=True)
        first, last = 0, len(times)
    return users * np.int64(last - first + 1) + (times - first)


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
            columns[name] = np.where(np.isfinite(numbers), numbers, np.nan)
        else:
            columns[name] = np.array(column.to_pylist(), object)
    return columns
