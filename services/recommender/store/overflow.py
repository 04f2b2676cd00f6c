"""Long facts of items in a file: read when a filter or an answer needs them, not held in memory.

The file has no name, so it is gone when the process is. Space that is given back is used again.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import structlog

SMALLEST = 1_024
"""Bytes of the smallest piece of the file; pieces are powers of two."""
QUIET_SECONDS = 60.0
"""How often a disk that takes nothing is mentioned in the log."""

log = structlog.get_logger()


class Overflow:
    """Pieces of bytes in an unnamed file below a folder."""

    def __init__(self, folder: Path) -> None:
        """Make the file when the first piece comes."""
        self._folder = folder
        self._file: int | None = None
        self._end = 0
        self._free: defaultdict[int, list[int]] = defaultdict(list)
        self._mentioned_at = float("-inf")
        self.held_bytes = 0
        """Bytes of all pieces that are held."""

    def put(self, content: bytes) -> int | None:
        """Write a piece and return its offset; None when the disk takes nothing more."""
        size = _size(len(content))
        free = self._free[size]
        offset = free[-1] if free else self._end
        try:
            written = os.pwrite(self._opened(), content, offset)
        except OSError as error:
            self._mention(repr(error))
            return None
        if written < len(content):
            self._mention("the disk is full")
            return None
        if free:
            free.pop()
        else:
            self._end += size
        self.held_bytes += len(content)
        return offset

    def get(self, offset: int, length: int) -> bytes:
        """Read a piece."""
        return os.pread(self._opened(), length, offset)

    def drop(self, offset: int, length: int) -> None:
        """Give a piece back."""
        self._free[_size(length)].append(offset)
        self.held_bytes -= length

    def _opened(self) -> int:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                self._file = os.dup(file.fileno())
        return self._file

    def _mention(self, problem: str) -> None:
        now = time.monotonic()
        if now - self._mentioned_at >= QUIET_SECONDS:
            self._mentioned_at = now
            log.warning("catalogues.long_facts_stay_in_memory", folder=str(self._folder), problem=problem)


def _size(length: int) -> int:
    return max(SMALLEST, 1 << (length - 1).bit_length())
