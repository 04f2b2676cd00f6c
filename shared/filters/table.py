"""The data that a filter is applied to: rows with attributes, and interactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from shared.filters.syntax import key_of

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

IDS = frozenset({"itemid", "userid"})


@dataclass(frozen=True, slots=True)
class Interaction:
    """An interaction. `user_id` is needed for filters of users; `properties` are the other fields."""

    item_id: str | None
    event_type: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """Interactions as columns: integer[events] rows of the table, and integer[events] indices into `names`.

    They have no other fields. For a filter of items they belong to one user, for one of users to all users.
    """

    rows: NDArray[np.integer[Any]]
    types: NDArray[np.integer[Any]]
    names: tuple[str, ...]


class Column:
    """One attribute of every row: float64[rows] with NaN, or object[rows] with None.

    The tokens of a text are separated by `|`.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        """Convert object[rows] of numbers alone to float64[rows]."""
        self.values = values if values.dtype.kind == "O" else values.astype(np.float64, copy=False)
        if self.values.dtype.kind == "O" and _all_numbers(self.values):
            self.values = np.array([np.nan if v is None else v for v in self.values], np.float64)
        self.is_number = self.values.dtype.kind == "f"

    @cached_property
    def tokens(self) -> Mapping[str, Rows]:
        """Return token → int64[rows with it] of a text column."""
        rows: dict[str, list[int]] = {}
        for row, value in enumerate(self.values.tolist()):
            for token in tokens_of(value):
                rows.setdefault(token, []).append(row)
        return {token: np.array(token_rows, np.int64) for token, token_rows in rows.items()}

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """Return the column as float64[rows], with NaN for values that are not numbers."""
        if self.is_number:
            return self.values
        return np.array([number_of(value) for value in self.values.tolist()], np.float64)


class Attributes(Protocol):
    """Columns by name that are decoded on demand; see `shared.models.Attributes`."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """Return the columns by name."""

    def values(self, name: str) -> NDArray[Any] | None:
        """Return a column as float64[rows] with NaN or object[rows] with None; None if it does not exist."""


class _Lazy(Mapping[str, NDArray[Any]]):
    """Attributes as a mapping from name to column."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes

    def __getitem__(self, name: str) -> NDArray[Any]:
        values = self._attributes.values(name)
        if values is None:
            raise KeyError(name)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes.columns)

    def __len__(self) -> int:
        return len(self._attributes.columns)


class Table:
    """Rows with an id and columns, whose names are compared without case and underscores.

    Indices (rows by id, rows by token, numbers) are built on first use and kept: share one table among all
    requests.
    """

    def __init__(self, ids: Sequence[str], columns: Mapping[str, NDArray[Any]]) -> None:
        """`columns` are float64[rows] with NaN or object[rows] with None, each read on first use."""
        self.ids = ids
        self._source = columns
        self._names = {key_of(name): name for name in columns}
        self._columns: dict[str, Column] = {}

    @classmethod
    def of(cls, ids: Sequence[str], attributes: Attributes) -> Self:
        """Return the table of a model's items or users with their attributes."""
        return cls(ids, _Lazy(attributes))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Return the row of each id."""
        return {id_: row for row, id_ in enumerate(self.ids)}

    def column(self, key: str) -> Column | None:
        """Return the column with this key (see `key_of`); None if there is none."""
        column = self._columns.get(key)
        if column is None and key in self._names:
            column = self._columns[key] = Column(self._source[self._names[key]])
        return column

    def value(self, row: int, key: str) -> Any:
        """Return one attribute of one row; None if the table has no such column."""
        if key in IDS and key not in self._names:
            return self.ids[row]
        column = self.column(key)
        return None if column is None else column.values[row]


def tokens_of(value: object) -> list[str]:
    """Return the tokens of a categorical cell; an empty list for a missing cell."""
    if value is None:
        return []
    return [token for token in str(value).split("|") if token]


def number_of(value: object) -> float:
    """Return the value as a number; NaN if it is not a number."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _all_numbers(values: NDArray[Any]) -> bool:
    kinds = {type(value) for value in values.tolist()} - {type(None)}
    return bool(kinds) and kinds <= {int, float}
