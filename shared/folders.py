"""Paths inside of a folder for names that come from outside, such as requests and archives.

See docs/decisions/0013-tenants-and-object-store.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from shared.errors import Permanent


def inside(folder: Path, name: str) -> Path:
    """Return the path of an entry of a folder; raises Permanent for a name that is not one path component."""
    if not name or name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise Permanent(f"{name!r} is not the name of a file")
    return folder / name


def remove(folder: Path, name: str, *, missing_ok: bool = False) -> None:
    """Remove a subfolder with its contents; of a symbolic link, only the link.

    Raises Permanent for a name that is not one path component. With `missing_ok` it is not an error if the
    entry does not exist or another process is removing it.
    """
    entry = inside(folder, name)
    if entry.is_symlink():
        entry.unlink(missing_ok=missing_ok)
        return
    shutil.rmtree(entry, ignore_errors=missing_ok)
