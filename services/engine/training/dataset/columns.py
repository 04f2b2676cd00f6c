"""Where long columns lie: in memory, or in mapped files that the kernel may write out and drop.

Twenty million interactions take half a gigabyte. Recipes go over them in pieces, so only the piece at hand
has to be in memory: the rest lies in files of the job's own folder.
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

ROWS_AT_ONCE = 2_000_000
_MAPPED_FROM_BYTES = 1 << 25


@dataclass(frozen=True)
class Room:
    """Makes columns; long ones lie in files of `folder`, which have no name and go with their columns.

    `at_once` is how many interactions are to be gone over together.
    """

    folder: Path | None = None
    mapped_from: int = _MAPPED_FROM_BYTES
    at_once: int = ROWS_AT_ONCE

    def empty(self, length: int, dtype: DTypeLike) -> Column:
        """A column to be filled."""
        size = length * np.dtype(dtype).itemsize
        if self.folder is None or size < max(self.mapped_from, 1):
            return np.empty(length, dtype)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            # A full disk is to be told of here: a write into the mapping would end the process.
            os.posix_fallocate(file.fileno(), 0, size)
            return np.frombuffer(mmap.mmap(file.fileno(), size), dtype)

    def copied(self, column: Column, kept: Column) -> Column:
        """Some rows of a column: those that a mask marks, or those at some places."""
        marks = kept.dtype == bool
        taken = self.empty(int(np.count_nonzero(kept)) if marks else len(kept), column.dtype)
        end = 0
        for some in pieces(len(kept)):
            found = column[some][kept[some]] if marks else column[kept[some]]
            taken[end : end + len(found)] = found
            end += len(found)
            rest(column, taken)
        return taken


MEMORY = Room()


def pieces(length: int) -> Iterator[slice]:
    """All places, some millions at once: whatever is computed of a column's piece is bounded."""
    for begin in range(0, length, ROWS_AT_ONCE):
        yield slice(begin, min(begin + ROWS_AT_ONCE, length))


def rest(*columns: Column) -> None:
    """Let go of the memory that mapped columns take; what they hold is read again when it is asked for."""
    for column in columns:
        base: Any = column
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, memoryview):
            base = base.obj
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)


def each(values: Column, numbers: Column) -> Column:
    """`values[numbers]`, which would copy all the numbers as wide integers."""
    found = np.empty(len(numbers), values.dtype)
    for some in pieces(len(numbers)):
        found[some] = values[numbers[some]]
        rest(numbers)
    return found


def tally(numbers: Column, length: int) -> NDArray[np.int64]:
    """How often each number below `length` occurs: np.bincount copies all it counts as wide integers."""
    counts = np.zeros(length, np.int64)
    for some in pieces(len(numbers)):
        counts += np.bincount(numbers[some], minlength=length)
        rest(numbers)
    return counts


class Filled:
    """Columns side by side, with room for `most` rows, that are filled from their begin on."""

    def __init__(self, room: Room, most: int, *dtypes: DTypeLike) -> None:
        """Without any row yet."""
        self._columns = [room.empty(most, dtype) for dtype in dtypes]
        self._count = 0

    def add(self, *columns: Column) -> None:
        """Put rows behind those that are there."""
        end = self._count + len(columns[0])
        for mine, more in zip(self._columns, columns, strict=True):
            mine[self._count : end] = more
        self._count = end
        rest(*self._columns)

    def columns(self) -> list[Column]:
        """What was filled so far."""
        return [column[: self._count] for column in self._columns]
