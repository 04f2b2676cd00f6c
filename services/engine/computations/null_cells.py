"""Cells of items and users in a CSV file: one that does not fit its column is null, and counted.

As Amazon Personalize does it: metadata that is not of the schema's type fails no import. Ids, and all columns
of interactions, are as strict as `reading` has them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.engine.domain.schemas import Column
from shared.errors import Permanent
from shared.events.cells import LARGEST_CELL, cell_of
from shared.events.values import EARLIEST, LATEST

EARLIEST_SECOND = int(EARLIEST.timestamp())
LATEST_SECOND = int(LATEST.timestamp())
"""Bounds of times, the same at every door; what is beyond them is mostly in milliseconds."""

IDS = frozenset({"USER_ID", "ITEM_ID"})
MOST_SHOWN = 100
"""Characters of a cell in a sentence."""

# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any


@dataclass(frozen=True, slots=True)
class NullCells:
    """The cells of an import that are null because they did not fit, by the name of the column."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    """For each column, the place and the text of the first such cell."""
    kept: Counter[str] = field(default_factory=Counter)
    """Cells that have a value."""
    unfit: dict[str, str] = field(default_factory=dict)
    """For each column, the first such cell that is not empty."""

    def add(self, column: Column, texts: Arrow, values: Arrow, name: str, before: int) -> None:
        """Count the cells that have become null, of rows behind `before` (see `reading.batches`)."""
        lost: Arrow = pc.is_null(values)
        if column.nullable:
            lost = pc.and_(lost, pc.is_valid(texts))
        count = int(pc.sum(lost).as_py() or 0)
        self.kept[column.name] += len(values) - values.null_count
        if not count:
            return
        self.counts[column.name] += count
        unfit: Arrow = pc.and_(lost, pc.is_valid(texts))
        for known, which in ((self.first, lost), (self.unfit, unfit)):
            place = pc.index(which, value=True).as_py()
            if place >= 0 and column.name not in known:
                text = texts[place].as_py()
                shown = "is empty" if text is None else f"has {text[:MOST_SHOWN]!r}"
                known[column.name] = f"{name}, row {before + place + 1} (the header is row 1) {shown}"

    def check(self) -> None:
        """Permanent when no creation time at all is one: then the whole column is in another unit."""
        name = "CREATION_TIMESTAMP"
        if name in self.unfit and not self.kept[name]:
            raise Permanent(
                f"No {name} is in seconds since 1970: {self.unfit[name]} (are these milliseconds?)."
            )

    def warnings(self, columns: tuple[Column, ...]) -> list[str]:
        """Return a sentence for each column that has such cells."""
        types = {column.name: column.type for column in columns}
        return [
            f"{count:,} cells of {name} are null, since they hold no {types[name]}: {self.first[name]}."
            for name, count in sorted(self.counts.items())
        ]


def converted(texts: Arrow, column: Column, kind: pa.DataType) -> Arrow:
    """Return cells that were read as texts in the column's type; null for one that does not fit."""
    if column.type == "string":
        return texts
    values: Arrow = None
    if column.type != "boolean":
        try:
            values = pc.cast(texts, kind)
        except pa.ArrowInvalid:
            values = None
    if values is None:
        values = _one_by_one(texts, column, kind)
    if column.name == "CREATION_TIMESTAMP":
        return _within(values, EARLIEST_SECOND, LATEST_SECOND - 1)
    return _within(values, -LARGEST_CELL, LARGEST_CELL) if column.type in {"float", "double"} else values


def _one_by_one(texts: Arrow, column: Column, kind: pa.DataType) -> Arrow:
    """Convert each distinct text; far slower than a cast, which accepts all or nothing."""
    encoded: Arrow = texts.dictionary_encode()
    cells = pa.array([_cell(text, column) for text in encoded.dictionary.to_pylist()], kind)
    return cells.take(encoded.indices)


def _cell(text: str, column: Column) -> Any:
    try:
        return cell_of(text, column.type)
    except ValueError:
        return None


def _within(values: Arrow, least: float, most: float) -> Arrow:
    """Return the values with null for those beyond the bounds, and for NaN."""
    numbers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    beyond = ~((numbers >= least) & (numbers <= most))
    if not beyond.any():
        return values
    return pc.if_else(pa.array(np.asarray(beyond)), pa.scalar(None, values.type), values)
