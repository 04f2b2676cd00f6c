"""What is known of a model's items or users beside their events: the columns of the imported datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Texts:
    """A column of strings as their UTF-8 bytes end to end, and where each begins.

    A missing value is as long as an empty one: both are None.
    """

    text: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Texts:
        """Booleans become `true` and `false`, as CSV files spell them."""
        encoded = [_written(value).encode() for value in values]
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
        """All of them, decoded once; equal strings are one object."""
        met: dict[bytes, str | None] = {b"": None}
        content, offsets = self.text.tobytes(), self.offsets.tolist()
        values = np.empty(len(self), object)
        for number in range(len(self)):
            cell = content[offsets[number] : offsets[number + 1]]
            if cell not in met:
                met[cell] = cell.decode()
            values[number] = met[cell]
        return values


Column = NDArray[np.float64] | Texts
Value = str | float
NumberKind = Literal["whole", "float", "double"]
"""What a dataset's schema says of a column of numbers: int and long, or the two kinds of floats."""


@dataclass(frozen=True)
class Attributes:
    """Columns by name, with one cell per item or user: float64 with NaN for missing, or texts.

    `kinds` says of columns of numbers what they are in the dataset; of models of earlier releases nothing.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    kinds: Mapping[str, NumberKind] = field(default_factory=dict)

    @classmethod
    def of(
        cls, columns: Mapping[str, NDArray[Any]], kinds: Mapping[str, NumberKind] | None = None
    ) -> Attributes:
        """From a dataset's columns: numbers as they are, everything else as text."""
        return cls(
            {
                name: column.astype(np.float64) if column.dtype.kind in "iuf" else Texts.of(column.tolist())
                for name, column in columns.items()
            },
            {name: kind for name, kind in (kinds or {}).items() if name in columns},
        )

    def values(self, name: str) -> NDArray[Any] | None:
        """A whole column: float64 with NaN, or objects with None; None where there is no such column."""
        column = self.columns.get(name)
        return column.values if isinstance(column, Texts) else column

    def value(self, name: str, number: int) -> Value | None:
        """One cell; None where it, or its column, is missing."""
        column = self.columns.get(name)
        if column is None:
            return None
        if isinstance(column, Texts):
            return column[number]
        cell = float(column[number])
        return None if np.isnan(cell) else cell

    def row(self, number: int) -> dict[str, Value]:
        """Everything that is known of one item or user."""
        cells = ((name, self.value(name, number)) for name in self.columns)
        return {name: cell for name, cell in cells if cell is not None}


def _written(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
