"""Long properties of items in a file, read when a filter or an answer needs them.

The file has no name, so it is gone when the process is. Freed space is used again.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import structlog

MIN_BLOCK_BYTES = 1_024
"""Bytes of the smallest block of the file; the size of a block is a power of two."""
LOG_INTERVAL_SECONDS = 60.0
"""A failing disk is logged at most this often."""

log = structlog.get_logger()


class SpillFile:
    """Byte strings in an unnamed file below a folder. A `SpillStorage`."""

    def __init__(self, folder: Path) -> None:
        """Create the file when the first content is stored."""
        self._folder = folder
        self._file: int | None = None
        self._end = 0
        self._free: defaultdict[int, list[int]] = defaultdict(list)
        self._logged_at = float("-inf")
        self.held_bytes = 0
        """Bytes of all that is stored."""

    def put(self, content: bytes) -> int | None:
        """Write a content and return its offset; None if the disk is full or fails."""
        size = _block_bytes(len(content))
        free = self._free[size]
        offset = free[-1] if free else self._end
        try:
            written = os.pwrite(self._opened(), content, offset)
        except OSError as error:
            self._log(repr(error))
            return None
        if written < len(content):
            self._log("the disk is full")
            return None
        if free:
            free.pop()
        else:
            self._end += size
        self.held_bytes += len(content)
        return offset

    def get(self, offset: int, length: int) -> bytes:
        """Return the content at an offset."""
        return os.pread(self._opened(), length, offset)

    def drop(self, offset: int, length: int) -> None:
        """Free the block of a content."""
        self._free[_block_bytes(length)].append(offset)
        self.held_bytes -= length

    def _opened(self) -> int:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                self._file = os.dup(file.fileno())
        return self._file

    def _log(self, problem: str) -> None:
        now = time.monotonic()
        if now - self._logged_at >= LOG_INTERVAL_SECONDS:
            self._logged_at = now
            log.warning("catalogues.properties_not_spilled", folder=str(self._folder), problem=problem)


def _block_bytes(length: int) -> int:
    return max(MIN_BLOCK_BYTES, 1 << (length - 1).bit_length())
