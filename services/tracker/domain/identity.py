"""Ids of events that come without one: the same event has the same id, however often it is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST_MS = (1 << 48) - 1


def content_id(tenant: str, claimed: datetime, *said: object) -> str:
    """Return the id of an event by its time, as the sender states it, and what it says: JSON values.

    A UUID of version 8 (RFC 9562, 5.8): milliseconds since 1970, then 74 bits of BLAKE2b. Ids of one time lie
    together, which keeps the log's index fast; two events of one millisecond share an id by chance once in
    2^74 pairs.
    """
    if claimed.tzinfo is None:
        claimed = claimed.replace(tzinfo=UTC)
    microseconds = (claimed - _EPOCH) // _MICROSECOND
    text = orjson.dumps((tenant, microseconds, said), option=orjson.OPT_SORT_KEYS)
    bits = int.from_bytes(blake2b(text, digest_size=10).digest())
    value = min(max(microseconds // 1_000, 0), _LATEST_MS) << 80 | bits
    value = value & ~(0xF << 76) & ~(0x3 << 62) | (0x8 << 76) | (0x2 << 62)
    text_id = f"{value:032x}"
    return f"{text_id[:8]}-{text_id[8:12]}-{text_id[12:16]}-{text_id[16:20]}-{text_id[20:]}"
