"""Cells of items and users that do not fit the type of their column: they become null and are counted.

Amazon Personalize does the same: metadata that is not of the schema's type fails no import. Ids, and all
columns of interactions, are checked strictly by `csv_reader`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.engine.computations.computation import Arrow
from services.engine.domain.schemas import Column
from shared.errors import Permanent
from shared.events.cells import LARGEST_CELL, cell_of
from shared.events.values import EARLIEST, LATEST

EARLIEST_SECOND = int(EARLIEST.timestamp())
LATEST_SECOND = int(LATEST.timestamp())
"""Bounds of times, the same for every way into the product; a later one is most likely in milliseconds."""

IDS = frozenset({"USER_ID", "ITEM_ID"})
MAX_SHOWN_CHARACTERS = 100
"""Of a cell in an error message or a warning."""


@dataclass(frozen=True, slots=True)
class NullCells:
    """Counts, by column, of the cells of an import that are null because they did not fit."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    """By column, the row and the text of the first null cell, as part of a sentence."""
    kept: Counter[str] = field(default_factory=Counter)
    """Counts of the cells that have a value."""
    unfit: dict[str, str] = field(default_factory=dict)
    """By column, the first null cell that has text."""

    def add(self, column: Column, texts: Arrow, values: Arrow, name: str, rows_before: int) -> None:
        """Count the cells of a batch that have become null.

        `texts` are the cells as they were read, `values` the converted ones; `name` is the file,
        `rows_before` the number of its rows before the batch.
        """
        lost: Arrow = pc.is_null(values)
        if column.nullable:
            lost = pc.and_(lost, pc.is_valid(texts))
        count = int(pc.sum(lost).as_py() or 0)
        self.kept[column.name] += len(values) - values.null_count
        if not count:
            return
        self.counts[column.name] += count
        unfit: Arrow = pc.and_(lost, pc.is_valid(texts))
        for examples, mask in ((self.first, lost), (self.unfit, unfit)):
            index = pc.index(mask, value=True).as_py()
            if index >= 0 and column.name not in examples:
                text = texts[index].as_py()
                shown = "is empty" if text is None else f"has {text[:MAX_SHOWN_CHARACTERS]!r}"
                row = rows_before + index + 1
                examples[column.name] = f"{name}, row {row} (the header is row 1) {shown}"

    def check(self) -> None:
        """Raise Permanent when no creation time is valid: the whole column is then in another unit."""
        name = "CREATION_TIMESTAMP"
        if name in self.unfit and not self.kept[name]:
            raise Permanent(
                f"No {name} is in seconds since 1970: {self.unfit[name]} (are these milliseconds?)."
            )

    def warnings(self, columns: tuple[Column, ...]) -> list[str]:
        """Return a sentence for each column that has null cells."""
        types = {column.name: column.type for column in columns}
        return [
            f"{count:,} cells of {name} are null, since they hold no {types[name]}: {self.first[name]}."
            for name, count in sorted(self.counts.items())
        ]


def converted(texts: Arrow, column: Column, kind: pa.DataType) -> Arrow:
    """Return cells that were read as texts in the type of the column; null for a cell that does not fit."""
    if column.type == "string":
        return texts
    values: Arrow = None
    if column.type != "boolean":
        try:
            values = pc.cast(texts, kind)
        except pa.ArrowInvalid:
            values = None
    if values is None:
        values = _converted_singly(texts, column, kind)
    if column.name == "CREATION_TIMESTAMP":
        return _within(values, EARLIEST_SECOND, LATEST_SECOND - 1)
    return _within(values, -LARGEST_CELL, LARGEST_CELL) if column.type in {"float", "double"} else values


def _converted_singly(texts: Arrow, column: Column, kind: pa.DataType) -> Arrow:
    """Convert each distinct text by itself: far slower than a cast, which fails on the first unfit cell."""
    encoded: Arrow = texts.dictionary_encode()
    cells = pa.array([_cell(text, column) for text in encoded.dictionary.to_pylist()], kind)
    return cells.take(encoded.indices)


def _cell(text: str, column: Column) -> Any:
    try:
        return cell_of(text, column.type)
    except ValueError:
        return None


def _within(values: Arrow, lower: float, upper: float) -> Arrow:
    """Return the values with null for NaN and for those out of bounds."""
    numbers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    is_outside = ~((numbers >= lower) & (numbers <= upper))
    if not is_outside.any():
        return values
    return pc.if_else(pa.array(np.asarray(is_outside)), pa.scalar(None, values.type), values)
