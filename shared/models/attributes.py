"""Attributes of a model's items or users: the columns of the imported datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Texts:
    """A column of strings: their UTF-8 bytes end to end, and the offset of each.

    A missing value cannot be told from an empty one: both are None.
    """

    text: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Texts:
        """Encode values as text; booleans become `true` and `false`, as CSV files spell them."""
        encoded = [_as_text(value).encode() for value in values]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> str | None:
        begin, end = int(self.offsets[number]), int(self.offsets[number + 1])
        return self.text[begin:end].tobytes().decode() or None

    @cached_property
    def values(self) -> NDArray[np.object_]:
        """All values, decoded once; equal strings share one object: object[rows]."""
        decoded: dict[bytes, str | None] = {b"": None}
        content, offsets = self.text.tobytes(), self.offsets.tolist()
        values = np.empty(len(self), object)
        for number in range(len(self)):
            cell = content[offsets[number] : offsets[number + 1]]
            if cell not in decoded:
                decoded[cell] = cell.decode()
            values[number] = decoded[cell]
        return values


Column = NDArray[np.float64] | Texts
Value = str | float
NumberKind = Literal["whole", "float", "double"]
"""The type of a numeric column in a dataset's schema: int and long are whole."""


@dataclass(frozen=True)
class Attributes:
    """Columns by name, with one cell per item or user: float64 with NaN for missing, or texts.

    `kinds` are the schema types of numeric columns; empty in models of earlier releases.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    kinds: Mapping[str, NumberKind] = field(default_factory=dict)

    @classmethod
    def of(
        cls, columns: Mapping[str, NDArray[Any]], kinds: Mapping[str, NumberKind] | None = None
    ) -> Attributes:
        """Take a dataset's columns over: numbers as they are, everything else as text."""
        return cls(
            {
                name: column.astype(np.float64) if column.dtype.kind in "iuf" else Texts.of(column.tolist())
                for name, column in columns.items()
            },
            {name: kind for name, kind in (kinds or {}).items() if name in columns},
        )

    def values(self, name: str) -> NDArray[Any] | None:
        """Return a column, or None: float64[rows] with NaN, or object[rows] with None."""
        column = self.columns.get(name)
        return column.values if isinstance(column, Texts) else column

    def value(self, name: str, number: int) -> Value | None:
        """Return one cell; None where it, or its column, is missing."""
        column = self.columns.get(name)
        if column is None:
            return None
        if isinstance(column, Texts):
            return column[number]
        cell = float(column[number])
        return None if np.isnan(cell) else cell

    def row(self, number: int) -> dict[str, Value]:
        """Return the cells of one item or user, without missing ones."""
        cells = ((name, self.value(name, number)) for name in self.columns)
        return {name: cell for name, cell in cells if cell is not None}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
