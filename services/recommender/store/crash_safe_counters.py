"""Counters of records that survive the end of the process by any signal.

Two numbers are in a memory-mapped file: how many records were added, and how many of them are settled, which
means published or counted as dropped. The kernel keeps the pages of a killed process, so the next process
that starts with the same folder sees how many were lost. A lock says whether the process of a file lives.

See docs/decisions/0038-servings.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import uuid
from pathlib import Path
from typing import Final

import structlog

_LAYOUT: Final = struct.Struct("=QQ")

log = structlog.get_logger()


class CrashSafeCounters:
    """The two counters of this process, for one kind of records."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Count in memory until `open` creates the file below `folder`; `kind` is the suffix of its name."""
        self._folder = folder
        self._kind = kind
        self._file: int | None = None
        self._path: Path | None = None
        self._map: mmap.mmap | None = None
        self.cells = memoryview(bytearray(_LAYOUT.size)).cast("Q")
        """The records added, and the settled ones."""

    def open(self) -> int:
        """Create the file; return how many records earlier processes lost, and remove their files.

        Without a writable folder the counters stay in memory, which is logged.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lost = sum(map(_lost, sorted(self._folder.glob(f"*.{self._kind}"))))
            self._create()
        except OSError as error:
            log.warning("counters.not_kept", kind=self._kind, folder=str(self._folder), error=repr(error))
            return 0
        return lost

    def close(self) -> None:
        """Remove the file: what is not settled was counted by this process."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None
        self.cells = memoryview(bytearray(_LAYOUT.size)).cast("Q")
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _create(self) -> None:
        """Create the file with its lock, and only then under the name that other processes look at."""
        path = self._folder / f"{uuid.uuid4().hex}.{self._kind}"
        hidden = path.with_suffix(f".{self._kind}-new")
        self._file = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.pwrite(self._file, _LAYOUT.pack(*self.cells), 0)
        self._map = mmap.mmap(self._file, _LAYOUT.size)
        hidden.rename(path)
        self._path = path
        self.cells = memoryview(self._map).cast("Q")


def _lost(path: Path) -> int:
    """Return what the process of a file lost, and remove the file; 0 while the process lives."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        content = os.pread(file, _LAYOUT.size, 0)
        is_counted_elsewhere = os.fstat(file).st_nlink == 0
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return 0
    finally:
        os.close(file)
    if is_counted_elsewhere or len(content) < _LAYOUT.size:
        return 0
    added, settled = _LAYOUT.unpack(content)
    return max(0, int(added) - int(settled))
