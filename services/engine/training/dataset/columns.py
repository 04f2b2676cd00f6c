"""Storage of long columns: in memory, or in mapped files whose pages the kernel may write out and drop.

Twenty million interactions take half a gigabyte. Training goes over them in pieces, so only the current piece
has to be in memory: the others stay in files of the job's own folder.

See docs/decisions/0026-large-data.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Column = NDArray[Any]

ROWS_PER_PIECE = 2_000_000
"""Rows that are processed together: what is computed of them takes some tens of megabytes."""
_MAPPED_FROM_BYTES = 1 << 25
"""Smaller columns stay in memory."""


@dataclass(frozen=True)
class ColumnStorage:
    """Allocates columns; long ones lie in unnamed files of `folder`, which end with their columns.

    `rows_per_piece` is how many interactions are processed together.
    """

    folder: Path | None = None
    mapped_from_bytes: int = _MAPPED_FROM_BYTES
    rows_per_piece: int = ROWS_PER_PIECE

    def empty(self, length: int, dtype: DTypeLike) -> Column:
        """Return an uninitialized column: dtype[length]. Raises OSError when the disk is full."""
        size_bytes = length * np.dtype(dtype).itemsize
        if self.folder is None or size_bytes < max(self.mapped_from_bytes, 1):
            return np.empty(length, dtype)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            # A full disk must be an error here: a write into the mapping would end the process.
            os.posix_fallocate(file.fileno(), 0, size_bytes)
            return np.frombuffer(mmap.mmap(file.fileno(), size_bytes), dtype)

    def selected(self, column: Column, rows: Column) -> Column:
        """Return a copy of `rows`, a bool mask or int positions, of a column: dtype[rows]."""
        is_mask = rows.dtype == bool
        copy = self.empty(int(np.count_nonzero(rows)) if is_mask else len(rows), column.dtype)
        end = 0
        for piece in pieces(len(rows)):
            values = column[piece][rows[piece]] if is_mask else column[rows[piece]]
            copy[end : end + len(values)] = values
            end += len(values)
            release_pages(column, copy)
        return copy


MEMORY = ColumnStorage()


def pieces(length: int) -> Iterator[slice]:
    """Yield consecutive slices of up to `ROWS_PER_PIECE` rows, to bound the memory of computations."""
    for begin in range(0, length, ROWS_PER_PIECE):
        yield slice(begin, min(begin + ROWS_PER_PIECE, length))


def release_pages(*columns: Column) -> None:
    """Give the memory of mapped columns back to the kernel; the next access reads it again."""
    for column in columns:
        base: Any = column
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, memoryview):
            base = base.obj
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)


def take(values: Column, positions: Column) -> Column:
    """Return `values[positions]`, dtype[positions], without a copy of all positions as int64."""
    taken = np.empty(len(positions), values.dtype)
    for piece in pieces(len(positions)):
        taken[piece] = values[positions[piece]]
        release_pages(positions)
    return taken


def count_numbers(numbers: Column, length: int) -> NDArray[np.int64]:
    """Return how often each number below `length` occurs, int64[length], without a copy of all as int64."""
    counts = np.zeros(length, np.int64)
    for piece in pieces(len(numbers)):
        counts += np.bincount(numbers[piece], minlength=length)
        release_pages(numbers)
    return counts


class ColumnBuilder:
    """Columns of up to `capacity` rows that are filled from the start."""

    def __init__(self, storage: ColumnStorage, capacity: int, *dtypes: DTypeLike) -> None:
        """Allocate one column per dtype, without any row yet."""
        self._columns = [storage.empty(capacity, dtype) for dtype in dtypes]
        self._count = 0

    def append(self, *columns: Column) -> None:
        """Append rows, given as one array per column."""
        end = self._count + len(columns[0])
        for target, rows in zip(self._columns, columns, strict=True):
            target[self._count : end] = rows
        self._count = end
        release_pages(*self._columns)

    def columns(self) -> list[Column]:
        """Return the rows appended so far: dtype[rows] per column."""
        return [column[: self._count] for column in self._columns]
