"""Folders of files whose names come from elsewhere: nothing outside of a folder is written or removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from shared.errors import Permanent


def inside(folder: Path, name: str) -> Path:
    """Return the path of an entry of a folder; Permanent for a name that could mean anything else."""
    if not name or name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise Permanent(f"{name!r} is not the name of a file")
    return folder / name


def remove(folder: Path, name: str, *, missing_ok: bool = False) -> None:
    """Remove a folder inside of `folder` with all that it holds; a link to one is removed itself.

    Permanent for a name that leads elsewhere. With `missing_ok` an entry that is gone, or that another
    process is removing, is no error.
    """
    entry = inside(folder, name)
    if entry.is_symlink():
        entry.unlink(missing_ok=missing_ok)
        return
    shutil.rmtree(entry, ignore_errors=missing_ok)
