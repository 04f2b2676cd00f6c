"""Keys of uploaded files: `<tenant>/{orders,items,users,interactions}*.csv[.gz]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from services.sync.domain.mapping import KINDS, Kind
from shared.errors import Permanent

_KEY = re.compile(rf"(?P<tenant>[a-z0-9][a-z0-9-]{{0,79}})/(?P<kind>{'|'.join(KINDS)})[^/]*\.csv(\.gz)?")

MAX_KEY_BYTES = 1_024
"""The limit of Amazon S3; other stores have lower ones."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One version of an uploaded file."""

    key: str
    etag: str
    modified_at: datetime
    size: int


def parse_key(key: str) -> tuple[str, Kind] | None:
    """Return (tenant, kind) of an object's key, or None if the object is not an import."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    return match["tenant"], next(kind for kind in KINDS if kind == match["kind"])


def check_key(key: str) -> None:
    """Raise Permanent for a key that no object, or no import, can have."""
    if "\x00" in key:
        raise Permanent(f"{key[:100]!r} is not an object's key: it has a NUL. The notice is damaged.")
    if parse_key(key) is not None and len(key.encode(errors="replace")) > MAX_KEY_BYTES:
        raise Permanent(f"{key[:100]!r}… is not an object's key: it is longer than {MAX_KEY_BYTES} bytes.")
