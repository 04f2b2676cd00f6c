"""What a filter is applied to: rows with attributes, and what users did."""

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
    """What a user did with an item. `user_id` is for filters of users, `properties` are the other fields."""

    item_id: str | None
    event_type: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """Many interactions as columns: rows of the table, and their event types as numbers into `names`.

    Nothing else is known of them. For a filter of items these are one user's, for one of users everybody's.
    """

    rows: NDArray[np.integer[Any]]
    types: NDArray[np.integer[Any]]
    names: tuple[str, ...]


class Column:
    """One attribute of every row: float64 with NaN, or objects with None; `|` parts a text's tokens."""

    def __init__(self, values: NDArray[Any]) -> None:
        """A column of objects that are all numbers is a column of numbers."""
        self.values = values if values.dtype.kind == "O" else values.astype(np.float64, copy=False)
        if self.values.dtype.kind == "O" and _all_numbers(self.values):
            self.values = np.array([np.nan if v is None else v for v in self.values], np.float64)
        self.is_number = self.values.dtype.kind == "f"

    @cached_property
    def tokens(self) -> Mapping[str, Rows]:
        """The rows of each token of a text column."""
        rows: dict[str, list[int]] = {}
        for row, value in enumerate(self.values.tolist()):
            for token in tokens_of(value):
                rows.setdefault(token, []).append(row)
        return {token: np.array(places, np.int64) for token, places in rows.items()}

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The column as numbers; NaN for what is none."""
        if self.is_number:
            return self.values
        return np.array([number_of(value) for value in self.values.tolist()], np.float64)


class Attributes(Protocol):
    """Columns by name that are decoded when asked for; see `shared.models.Attributes`."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """By their names."""

    def values(self, name: str) -> NDArray[Any] | None:
        """A whole column: float64 with NaN, or objects with None."""


class _Lazy(Mapping[str, NDArray[Any]]):
    """Attributes as a mapping of columns."""

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
    """Rows by id, with columns beside them; names compare without case and underscores.

    Tokens, rows by id and numbers are indexed when first asked for, and kept: share one table among all
    requests.
    """

    def __init__(self, ids: Sequence[str], columns: Mapping[str, NDArray[Any]]) -> None:
        """`columns` as the training data has them: float64 with NaN, or objects with None.

        A column is taken from the mapping when a filter first asks for it.
        """
        self.ids = ids
        self._given = columns
        self._names = {key_of(name): name for name in columns}
        self._columns: dict[str, Column] = {}

    @classmethod
    def of(cls, ids: Sequence[str], attributes: Attributes) -> Self:
        """The items or users of a model, with their attributes."""
        return cls(ids, _Lazy(attributes))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of each id."""
        return {id_: row for row, id_ in enumerate(self.ids)}

    def column(self, key: str) -> Column | None:
        """The column of a name as `key_of` gives it; None when there is none."""
        found = self._columns.get(key)
        if found is None and key in self._names:
            found = self._columns[key] = Column(self._given[self._names[key]])
        return found

    def value(self, row: int, key: str) -> Any:
        """One attribute of one row; None when there is none."""
        if key in IDS and key not in self._names:
            return self.ids[row]
        column = self.column(key)
        return None if column is None else column.values[row]


def tokens_of(value: object) -> list[str]:
    """The tokens of a categorical cell; a missing one has none."""
    if value is None:
        return []
    return [token for token in str(value).split("|") if token]


def number_of(value: object) -> float:
    """The value as a number, NaN when it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _all_numbers(values: NDArray[Any]) -> bool:
    kinds = {type(value) for value in values.tolist()} - {type(None)}
    return bool(kinds) and kinds <= {int, float}
