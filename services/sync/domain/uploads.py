"""Which uploaded objects are imports: `<tenant>/{orders,items,users,interactions}*.csv[.gz]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from services.sync.domain.mapping import KINDS, Kind
from shared.errors import Permanent

_KEY = re.compile(rf"(?P<tenant>[a-z0-9][a-z0-9-]{{0,79}})/(?P<kind>{'|'.join(KINDS)})[^/]*\.csv(\.gz)?")

MAX_KEY_BYTES = 1_024
"""Amazon S3's limit; other stores keep less."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One version of an uploaded file."""

    key: str
    etag: str
    modified_at: datetime
    size: int


def parse_key(key: str) -> tuple[str, Kind] | None:
    """(tenant, kind) of an object's key; None for a key that is not ours to import."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    return match["tenant"], next(kind for kind in KINDS if kind == match["kind"])


def check_key(key: str) -> None:
    """Raise Permanent for what can't be the key of an object, or none that is an import."""
    if "\x00" in key:
        raise Permanent(f"{key[:100]!r} is no object's key: it has a NUL character. The notice is damaged.")
    if parse_key(key) is not None and len(key.encode(errors="replace")) > MAX_KEY_BYTES:
        raise Permanent(f"{key[:100]!r}… is no object's key: it is longer than {MAX_KEY_BYTES} bytes.")
