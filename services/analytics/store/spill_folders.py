"""Folders for what queries put on disk when their memory is used up, one for each query while it runs."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "endcap-sql-"
LEFT_SECONDS: Final = 3_600.0
"""Age of a folder that no query uses any more: its process was killed. Arbitrary, and longer than a query."""


@contextmanager
def spill_folder() -> Iterator[str]:
    """Make a folder, and remove it with its files at the end of the context."""
    folder = tempfile.mkdtemp(prefix=PREFIX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_folders() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process removes it, or owns it
            if time.time() - folder.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
