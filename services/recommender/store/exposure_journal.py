"""Exposures on disk until Kafka has them: the next process publishes what a killed one had not.

A process appends each exposure to a file before the answer leaves, in one write. The kernel keeps what was
written by a killed process; only a machine that loses power may lose the last ones. A new file begins after
some megabytes, and a file is removed when all of its exposures are settled: published, or given up. A lock
says whether the process of a file lives, so that of several processes one takes over a file. Exposures that
were on their way to Kafka at the end are published again, under the same id, which counts once.

See docs/decisions/0033-experiments.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import uuid
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

FILE_BYTES: Final = 4 * 2**20
"""Bytes after which another file begins; arbitrary, about 2,000 exposures with their answers."""
_HEAD: Final = struct.Struct("=Q")
"""The beginning of a file, in memory that the kernel keeps: how many contents are settled."""
_ENTRY: Final = struct.Struct("=II")
"""Before each content: its length, and its CRC-32."""
_SUFFIX: Final = ".exposure-journal"

log = structlog.get_logger()


class _File:
    """A file, how many contents it has, and how many of them are settled."""

    __slots__ = ("_map", "added", "cells", "descriptor", "path", "size")

    def __init__(self, path: Path, descriptor: int) -> None:
        """Map the head of the file."""
        self.path = path
        self.descriptor = descriptor
        self.added = 0
        self.size = 0
        self._map = mmap.mmap(descriptor, _HEAD.size)
        self.cells = memoryview(self._map).cast("Q")

    @property
    def unsettled(self) -> int:
        """Return how many contents are not settled."""
        return self.added - self.cells[0]

    def empty(self) -> None:
        """Begin again with nothing."""
        os.ftruncate(self.descriptor, _HEAD.size)
        self.added = self.size = self.cells[0] = 0

    def close(self) -> None:
        """Close the file; remove it if nothing in it is unsettled."""
        if not self.unsettled:
            self.path.unlink(missing_ok=True)
        self.cells.release()
        self._map.close()
        os.close(self.descriptor)


class ExposureJournal:
    """The exposures of this process, and of killed ones that it took over, in the order of their settlement.

    Without a writable folder nothing is kept, which is logged; exposures are then only in memory.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the files below `folder`, from the first `append` on."""
        self._folder = folder
        self._files: deque[_File] = deque()
        self._writes: _File | None = None
        self._fails = False

    def take_over(self) -> list[bytes]:
        """Return the contents that processes which ended have not settled, oldest file first.

        They are the next ones to be settled.
        """
        contents: list[bytes] = []
        try:
            paths = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
        except OSError:
            paths = []
        for path in paths:
            file = _locked(path)
            if file is not None:
                stored = list(_contents(file.descriptor))
                file.added = max(len(stored), file.cells[0])
                contents += stored[file.cells[0] :]
                if file.unsettled:
                    self._files.append(file)
                else:
                    file.close()
        return contents

    def append(self, content: bytes) -> None:
        """Write a content to the file."""
        if self._fails:
            return
        try:
            file = self._writes
            if file is None or file.size >= FILE_BYTES:
                file = self._writes = self._created()
                self._files.append(file)
            os.write(file.descriptor, _ENTRY.pack(len(content), zlib.crc32(content)) + content)
        except OSError as error:
            # The contents so far stay; a missing one would be settled in place of another.
            self._fails = True
            log.warning("exposures.not_on_disk", folder=str(self._folder), error=repr(error))
            return
        file.added += 1
        file.size += _ENTRY.size + len(content)

    def settle(self, count: int) -> None:
        """Settle the oldest contents; remove the files of which all are settled."""
        while count > 0 and self._files:
            oldest = self._files[0]
            settled = min(count, oldest.unsettled)
            oldest.cells[0] += settled
            count -= settled
            if oldest.unsettled:
                return
            if oldest is self._writes:
                oldest.empty()
                return
            self._files.popleft().close()

    def close(self) -> int:
        """Leave what is not settled to the next process; return how many contents that are."""
        left = sum(file.unsettled for file in self._files)
        for file in self._files:
            file.close()
        self._files.clear()
        self._writes = None
        return left

    def _created(self) -> _File:
        """Create a file with its lock, and only then under the name that other processes look at."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        hidden = path.with_suffix(f"{_SUFFIX}-new")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(hidden, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, _HEAD.size)
        hidden.rename(path)
        return _File(path, descriptor)


def _locked(path: Path) -> _File | None:
    """Return a file whose process has ended; None while it lives, or if another process has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    status = os.fstat(descriptor)
    if status.st_nlink == 0 or status.st_size < _HEAD.size:
        os.close(descriptor)
        return None
    return _File(path, descriptor)


def _contents(descriptor: int) -> Iterator[bytes]:
    """Yield the contents of a file up to the first that is cut off."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    at = _HEAD.size
    while at + _ENTRY.size <= len(data):
        length, checksum = _ENTRY.unpack_from(data, at)
        content = data[at + _ENTRY.size : at + _ENTRY.size + length]
        if len(content) < length or zlib.crc32(content) != checksum:
            return
        yield content
        at += _ENTRY.size + length
