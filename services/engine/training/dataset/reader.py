"""Reading interactions: tables of texts, as they come, become columns of numbers in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.engine.training.dataset.columns import Column, Filled, Room, pieces, rest, tally
from shared.events import canonical_type
from shared.events.values import LARGEST

_LARGEST = np.float32(LARGEST)

# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any

MOST_TYPES = 1000
"""So many event types are told apart, the most frequent ones: whoever may send events may make up types."""

_TYPES: dict[str, Any] = {
    "users": np.int32,
    "items": np.int32,
    "times": np.int64,
    "event_types": np.int32,
    "values": np.float32,
}


@dataclass
class Texts:
    """The distinct texts of a column, numbered as they were met."""

    known: Arrow

    @classmethod
    def none(cls) -> Texts:
        """Nothing was met yet."""
        return cls(pa.array([], pa.string()))

    def numbers(self, column: Arrow) -> Column:
        """The number of each row's text, int32; −1 for null. New texts get the next numbers."""
        column = _encoded(column)
        dictionary = column.chunk(0).dictionary
        used = _used(column, len(dictionary))
        before = len(self.known)
        both: Arrow = pa.concat_arrays([self.known, dictionary.filter(pa.array(used))]).dictionary_encode()
        self.known = both.dictionary
        numbered = np.full(len(dictionary) + 1, -1, np.int32)
        numbered[:-1][used] = both.indices.to_numpy()[before:]
        return _mapped(column, numbered)

    def sorted_with(self, others: Arrow | None) -> tuple[Arrow, NDArray[np.int32]]:
        """All texts and `others`, sorted; and the place there of each text that was met."""
        chunks = [self.known] if others is None else [self.known, others]
        every: Arrow = pc.unique(pa.chunked_array(chunks, pa.string()))
        order = pc.sort_indices(every)
        places = np.empty(len(every), np.int32)
        places[order.to_numpy()] = np.arange(len(every), dtype=np.int32)
        return every.take(order), places[: len(self.known)]


class Rows:
    """Interactions with a user, an item and a time, in columns with room for `most` of them."""

    def __init__(self, most: int, room: Room) -> None:
        """Without any interaction yet."""
        self._room = room
        self._count = 0
        self._columns = {name: room.empty(most, dtype) for name, dtype in _TYPES.items()}
        self._users, self._items, self._types = Texts.none(), Texts.none(), Texts.none()
        self._of_type = np.zeros(0, np.int64)
        self._untyped = 0
        self.left_out = 0
        """Interactions whose value no event may have (rows older than that bound); they count without it."""

    @classmethod
    def of(cls, tables: Iterable[pa.Table], most: int, room: Room) -> Rows:
        """All interactions of some tables, each of which is held only until the next one comes."""
        rows = cls(most, room)
        for table in tables:
            rows.add(table)
            # Or it would be held while the next one is read.
            del table
        return rows

    def add(self, table: Arrow) -> None:
        """Take the interactions of a table over."""
        present = [pc.is_valid(table[name]) for name in ("USER_ID", "ITEM_ID", "TIMESTAMP")]
        kept: Arrow = pc.and_(pc.and_(present[0], present[1]), present[2])
        if not pc.all(kept).as_py():
            table = table.filter(kept)
        some = slice(self._count, self._count + len(table))
        self._count = some.stop
        self._columns["users"][some] = self._users.numbers(table["USER_ID"])
        self._columns["items"][some] = self._items.numbers(table["ITEM_ID"])
        self._columns["times"][some] = _seconds(table["TIMESTAMP"])
        self._columns["event_types"][some] = self._kinds(table)
        self._columns["values"][some] = self._values(table)
        rest(*self._columns.values())

    def _kinds(self, table: Arrow) -> Column:
        """The number of each row's spelling of its type, −1 where it has none."""
        if "EVENT_TYPE" not in table.column_names:
            self._untyped += len(table)
            return np.full(len(table), -1, np.int32)
        numbers = self._types.numbers(table["EVENT_TYPE"])
        counts = np.bincount(numbers + 1, minlength=len(self._types.known) + 1)
        self._untyped += int(counts[0])
        counts[1 : len(self._of_type) + 1] += self._of_type
        self._of_type = counts[1:]
        return numbers

    def _values(self, table: Arrow) -> Column:
        """The value of each row, float32; NaN where it has none, or one that no event may have."""
        if "EVENT_VALUE" not in table.column_names:
            return np.full(len(table), np.nan, np.float32)
        column: Arrow = table["EVENT_VALUE"].cast(pa.float32())
        values: NDArray[np.float32] = pc.fill_null(column, float("nan")).to_numpy()
        beyond = np.abs(values) > _LARGEST
        if beyond.any():
            self.left_out += int(np.count_nonzero(beyond))
            values = np.where(beyond, np.float32(np.nan), values)
        return values

    def types(self) -> tuple[tuple[str, ...], NDArray[np.int16]]:
        """The canonical names that are told apart; and the number of each spelling's, last that of none."""
        canonical = [canonical_type(spelling) for spelling in self._types.known.to_pylist()]
        counts: Counter[str] = Counter()
        for name, count in zip(canonical, self._of_type.tolist(), strict=True):
            counts[name] += count
        kept = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_TYPES]
        has_others = self._untyped or len(kept) < len(counts) or not kept
        names = tuple(sorted({*kept, ""} if has_others else kept))
        numbered = {name: number for number, name in enumerate(names)}
        other = numbered.get("", 0)
        return names, np.array([numbered.get(name, other) for name in [*canonical, ""]], np.int16)

    def ordered(
        self, users: Arrow | None = None, items: Arrow | None = None
    ) -> tuple[Arrow, Arrow, tuple[str, ...], dict[str, Column]]:
        """The ids of users and of items, sorted, with those given; the types' names; and the columns.

        Sorted by user, time, item and type, in pieces of whole users; one row of each. The columns as they
        came are gone afterwards.
        """
        user_ids, user_places = self._users.sorted_with(users)
        item_ids, item_places = self._items.sorted_with(items)
        names, types = self.types()
        columns, self._columns = self._columns, {}
        for some in pieces(self._count):
            columns["users"][some] = user_places[columns["users"][some]]
            rest(columns["users"])
        ordered = Filled(self._room, self._count, *(_TYPES | {"event_types": np.int16}).values())
        users_of_rows = columns["users"][: self._count]
        for rows in _pieces_of_users(users_of_rows, len(user_ids), self._room.at_once):
            found = {name: _taken(column, rows) for name, column in columns.items()}
            found["items"] = item_places[found["items"]]
            found["event_types"] = types[found["event_types"]]
            kept = _distinct_rows(found)
            ordered.add(*(column[kept] for column in found.values()))
        return user_ids, item_ids, names, dict(zip(_TYPES, ordered.columns(), strict=True))


def _taken(column: Column, rows: NDArray[np.int64] | slice) -> Column:
    taken = column[rows]
    rest(column)
    return taken


def _pieces_of_users(users: Column, count: int, most: int) -> Iterator[NDArray[np.int64] | slice]:
    """The rows of `most` interactions or fewer, of whole users each (one at least), in the order of users."""
    if len(users) <= most:
        yield slice(0, len(users))
        return
    ends = np.cumsum(tally(users, count))
    begin = 0
    while begin < count:
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + most, side="right")))
        found = [
            some.start + np.flatnonzero((users[some] >= begin) & (users[some] < end))
            for some in pieces(len(users))
        ]
        yield np.concatenate(found)
        begin = end


def _encoded(column: Arrow) -> Arrow:
    """Texts as numbers into one dictionary for all chunks, of which there is one at least."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    if not column.num_chunks:
        return pa.chunked_array([pa.array([], column.type)])
    return column.unify_dictionaries()


def _used(column: Arrow, length: int) -> NDArray[np.bool_]:
    """Which texts of an encoded column's dictionary occur in it."""
    used = np.zeros(length, bool)
    for chunk in column.chunks:
        used[pc.drop_null(chunk.indices).to_numpy()] = True
    return used


def _mapped(column: Arrow, numbers: Column) -> Column:
    """For each row of an encoded column, the number of its text; the last one is that of null."""
    mapped = np.empty(len(column), numbers.dtype)
    begin = 0
    for chunk in column.chunks:
        places = pc.fill_null(chunk.indices, len(numbers) - 1).to_numpy()
        np.take(numbers, places, out=mapped[begin : begin + len(chunk)], mode="clip")
        begin += len(chunk)
    return mapped


def _seconds(column: Arrow) -> Column:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s"), safe=False)
    seconds: NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return seconds


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
