"""The copies of models on local disk: those in use and the newest few stay."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Collection
from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")
COPYING = ".copying-"
"""How the names of folders begin in which a copy is being made."""
ABANDONED_SECONDS = 3600.0


def tidy(folder: Path, in_use: Collection[str], keep: int) -> list[str]:
    """Remove copies that no campaign names, but the newest `keep`; gives the names of what went.

    Several processes may share the folder. What one of them removes under another stays mapped there, and
    is copied again when it is wanted again.
    """
    if not folder.is_dir():
        return []
    found = {entry: _changed_at(entry) for entry in folder.iterdir() if entry.is_dir()}
    unused = [entry for entry in found if _SHA256.fullmatch(entry.name) and entry.name not in in_use]
    gone = sorted(unused, key=found.__getitem__, reverse=True)[keep:]
    # What a killed process has left of a copy.
    long_ago = time.time() - ABANDONED_SECONDS
    gone += [entry for entry, at in found.items() if entry.name.startswith(COPYING) and at < long_ago]
    for entry in gone:
        shutil.rmtree(entry, ignore_errors=True)
    return [entry.name for entry in gone]


def _changed_at(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # another process was quicker
        return 0.0
