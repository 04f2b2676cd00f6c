"""Reads interactions: tables of texts become columns of numbers, sorted by user and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.engine.training.dataset.columns import (
    Column,
    ColumnBuilder,
    ColumnStorage,
    count_numbers,
    pieces,
    release_pages,
)
from shared.events import canonical_type
from shared.events.values import LARGEST

_MAX_VALUE = np.float32(LARGEST)

# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any

MAX_EVENT_TYPES = 1000
"""The most frequent event types that are distinguished: a client may invent any number of them."""

_DTYPES: dict[str, Any] = {
    "users": np.int32,
    "items": np.int32,
    "times": np.int64,
    "event_types": np.int32,
    "values": np.float32,
}


@dataclass
class Dictionary:
    """The distinct texts of a column, numbered in the order of their first rows."""

    known: Arrow

    @classmethod
    def empty(cls) -> Dictionary:
        """Return a dictionary without texts."""
        return cls(pa.array([], pa.string()))

    def numbers(self, column: Arrow) -> Column:
        """Return the number of each row's text, −1 for null; new texts get the next numbers: int32[rows]."""
        column = _encoded(column)
        dictionary = column.chunk(0).dictionary
        used = _used(column, len(dictionary))
        before = len(self.known)
        both: Arrow = pa.concat_arrays([self.known, dictionary.filter(pa.array(used))]).dictionary_encode()
        self.known = both.dictionary
        numbered = np.full(len(dictionary) + 1, -1, np.int32)
        numbered[:-1][used] = both.indices.to_numpy()[before:]
        return _mapped(column, numbered)

    def sorted_with(self, more: Arrow | None) -> tuple[Arrow, NDArray[np.int32]]:
        """Return all texts and `more`, sorted; and each numbered text's position there: int32[texts]."""
        chunks = [self.known] if more is None else [self.known, more]
        every: Arrow = pc.unique(pa.chunked_array(chunks, pa.string()))
        order = pc.sort_indices(every)
        places = np.empty(len(every), np.int32)
        places[order.to_numpy()] = np.arange(len(every), dtype=np.int32)
        return every.take(order), places[: len(self.known)]


class InteractionReader:
    """Collects up to `capacity` interactions that have a user, an item and a time."""

    def __init__(self, capacity: int, storage: ColumnStorage) -> None:
        """Allocate columns, without any interaction yet."""
        self._storage = storage
        self._count = 0
        self._columns = {name: storage.empty(capacity, dtype) for name, dtype in _DTYPES.items()}
        self._users, self._items, self._types = Dictionary.empty(), Dictionary.empty(), Dictionary.empty()
        self._type_counts = np.zeros(0, np.int64)
        self._untyped = 0
        self.dropped_values = 0
        """Interactions that count without their value: rows older than the bound of values may exceed it."""

    @classmethod
    def of(cls, tables: Iterable[pa.Table], capacity: int, storage: ColumnStorage) -> InteractionReader:
        """Read all interactions of `tables`, one table in memory at a time."""
        reader = cls(capacity, storage)
        for table in tables:
            reader.add(table)
            # Without this the table would stay in memory while the next one is read.
            del table
        return reader

    def add(self, table: Arrow) -> None:
        """Append the interactions of a table."""
        present = [pc.is_valid(table[name]) for name in ("USER_ID", "ITEM_ID", "TIMESTAMP")]
        kept: Arrow = pc.and_(pc.and_(present[0], present[1]), present[2])
        if not pc.all(kept).as_py():
            table = table.filter(kept)
        rows = slice(self._count, self._count + len(table))
        self._count = rows.stop
        self._columns["users"][rows] = self._users.numbers(table["USER_ID"])
        self._columns["items"][rows] = self._items.numbers(table["ITEM_ID"])
        self._columns["times"][rows] = _seconds(table["TIMESTAMP"])
        self._columns["event_types"][rows] = self._kinds(table)
        self._columns["values"][rows] = self._values(table)
        release_pages(*self._columns.values())

    def _kinds(self, table: Arrow) -> Column:
        """Return the number of each row's spelling of its type, −1 for none."""
        if "EVENT_TYPE" not in table.column_names:
            self._untyped += len(table)
            return np.full(len(table), -1, np.int32)
        numbers = self._types.numbers(table["EVENT_TYPE"])
        counts = np.bincount(numbers + 1, minlength=len(self._types.known) + 1)
        self._untyped += int(counts[0])
        counts[1 : len(self._type_counts) + 1] += self._type_counts
        self._type_counts = counts[1:]
        return numbers

    def _values(self, table: Arrow) -> Column:
        """Return the value of each row, NaN for none and for one beyond the bound."""
        if "EVENT_VALUE" not in table.column_names:
            return np.full(len(table), np.nan, np.float32)
        column: Arrow = table["EVENT_VALUE"].cast(pa.float32())
        values: NDArray[np.float32] = pc.fill_null(column, float("nan")).to_numpy()
        beyond = np.abs(values) > _MAX_VALUE
        if beyond.any():
            self.dropped_values += int(np.count_nonzero(beyond))
            values = np.where(beyond, np.float32(np.nan), values)
        return values

    def types(self) -> tuple[tuple[str, ...], NDArray[np.int16]]:
        """Return the distinguished canonical names, and each spelling's number: int16[spellings + 1].

        The last number is that of rows without a type.
        """
        canonical = [canonical_type(spelling) for spelling in self._types.known.to_pylist()]
        counts: Counter[str] = Counter()
        for name, count in zip(canonical, self._type_counts.tolist(), strict=True):
            counts[name] += count
        kept = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_EVENT_TYPES]
        needs_default = self._untyped or len(kept) < len(counts) or not kept
        names = tuple(sorted({*kept, ""} if needs_default else kept))
        numbers = {name: number for number, name in enumerate(names)}
        default = numbers.get("", 0)
        return names, np.array([numbers.get(name, default) for name in [*canonical, ""]], np.int16)

    def sorted_columns(
        self, users: Arrow | None = None, items: Arrow | None = None
    ) -> tuple[Arrow, Arrow, tuple[str, ...], dict[str, Column]]:
        """Return the sorted ids of users and of items, the names of event types, and the columns.

        `users` and `items` are ids beside those of the interactions. The columns, dtype[interactions] each,
        are sorted by user, time, item and type, without repetitions. The reader is empty afterwards.
        """
        user_ids, user_places = self._users.sorted_with(users)
        item_ids, item_places = self._items.sorted_with(items)
        names, types = self.types()
        columns, self._columns = self._columns, {}
        for piece in pieces(self._count):
            columns["users"][piece] = user_places[columns["users"][piece]]
            release_pages(columns["users"])
        builder = ColumnBuilder(self._storage, self._count, *(_DTYPES | {"event_types": np.int16}).values())
        users_of_rows = columns["users"][: self._count]
        for rows in _pieces_of_users(users_of_rows, len(user_ids), self._storage.rows_per_piece):
            piece_columns = {name: _taken(column, rows) for name, column in columns.items()}
            piece_columns["items"] = item_places[piece_columns["items"]]
            piece_columns["event_types"] = types[piece_columns["event_types"]]
            kept = _distinct_rows(piece_columns)
            builder.append(*(column[kept] for column in piece_columns.values()))
        return user_ids, item_ids, names, dict(zip(_DTYPES, builder.columns(), strict=True))


def _taken(column: Column, rows: NDArray[np.int64] | slice) -> Column:
    taken = column[rows]
    release_pages(column)
    return taken


def _pieces_of_users(users: Column, count: int, max_rows: int) -> Iterator[NDArray[np.int64] | slice]:
    """Yield the rows of whole users, at least one, in the order of users: up to `max_rows` at a time."""
    if len(users) <= max_rows:
        yield slice(0, len(users))
        return
    ends = np.cumsum(count_numbers(users, count))
    begin = 0
    while begin < count:
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + max_rows, side="right")))
        rows = [
            piece.start + np.flatnonzero((users[piece] >= begin) & (users[piece] < end))
            for piece in pieces(len(users))
        ]
        yield np.concatenate(rows)
        begin = end


def _encoded(column: Arrow) -> Arrow:
    """Return a dictionary-encoded column with one dictionary for all chunks, and at least one chunk."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    if not column.num_chunks:
        return pa.chunked_array([pa.array([], column.type)])
    return column.unify_dictionaries()


def _used(column: Arrow, length: int) -> NDArray[np.bool_]:
    """Return which texts of an encoded column's dictionary occur in it."""
    used = np.zeros(length, bool)
    for chunk in column.chunks:
        used[pc.drop_null(chunk.indices).to_numpy()] = True
    return used


def _mapped(column: Arrow, numbers: Column) -> Column:
    """Return the number of each row's text; the last of `numbers` is that of null."""
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
    """Return the positions of the rows to keep, sorted by user, time, item and type.

    One number per user and second sorts by user and time. Most rows are the only one of their second; only
    the others are compared by item, type and value.
    """
    moments = _moments(columns["users"], columns["times"])
    order = np.argsort(moments)
    moments = moments[order]
    same_second = np.zeros(len(order), bool)
    same_second[1:] = moments[1:] == moments[:-1]
    shared = np.flatnonzero(same_second | np.append(same_second[1:], False))
    rows, moments = order[shared], moments[shared]
    largest_first = -np.nan_to_num(columns["values"][rows], nan=-np.inf)
    items, types = columns["items"][rows], columns["event_types"][rows]
    sorting = np.lexsort((largest_first, types, items, moments))
    order[shared] = rows[sorting]
    is_repeated = np.zeros(len(rows), bool)
    is_repeated[1:] = True
    for key in (moments, items[sorting], types[sorting]):
        is_repeated[1:] &= key[1:] == key[:-1]
    kept = np.ones(len(order), bool)
    kept[shared[is_repeated]] = False
    return order[kept]


def _moments(users: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number per row that sorts by user and second."""
    first, last = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    if (last - first + 1) * (int(users.max(initial=0)) + 1) > np.iinfo(np.int64).max:
        _, times = np.unique(times, return_inverse=True)
        first, last = 0, len(times)
    return users * np.int64(last - first + 1) + (times - first)
