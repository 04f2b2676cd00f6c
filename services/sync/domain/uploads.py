"""Which uploaded objects are imports: `<tenant>/{orders,items,users,interactions}*.csv[.gz]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from services.sync.domain.mapping import KINDS, Kind

_KEY = re.compile(rf"(?P<tenant>[a-z0-9-]{{1,63}})/(?P<kind>{'|'.join(KINDS)})[^/]*\.csv(\.gz)?")


@dataclass(frozen=True, slots=True)
class Upload:
    """One version of an uploaded file."""

    key: str
    etag: str
    modified_at: datetime
    size: int


def meaning(key: str) -> tuple[str, Kind] | None:
    """(tenant, kind) of an object's key; None for a key that is not ours to import."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    return match["tenant"], next(kind for kind in KINDS if kind == match["kind"])
