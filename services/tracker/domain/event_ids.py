"""Ids of events that come without one: an event that is sent again has the same id."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b

import orjson

from shared.events import derived_id
from shared.events.values import LONGEST_ID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MILLISECONDS = (1 << 48) - 1


def content_based_id(tenant: str, claimed: datetime, *content: object) -> str:
    """Return an id that depends on the tenant, the claimed time and the content (JSON values).

    It is a UUID of version 8 (RFC 9562, section 5.8): milliseconds since 1970, then 74 bits of BLAKE2b. Ids
    of one time are neighbours in the log's index, which keeps inserts fast. Two different events of one
    millisecond share an id with probability 2^-74.
    """
    if claimed.tzinfo is None:
        claimed = claimed.replace(tzinfo=UTC)
    elapsed = claimed - _EPOCH
    text = orjson.dumps(
        (tenant, elapsed.days, elapsed.seconds, elapsed.microseconds, content),
        option=orjson.OPT_SORT_KEYS,
    )
    digest = blake2b(text, digest_size=10).hexdigest()
    milliseconds = (elapsed.days * 86_400 + elapsed.seconds) * 1_000 + elapsed.microseconds // 1_000
    prefix = f"{min(max(milliseconds, 0), _MAX_MILLISECONDS):012x}"
    variant = "89ab"[int(digest[3], 16) & 3]
    return f"{prefix[:8]}-{prefix[8:]}-8{digest[:3]}-{variant}{digest[4:7]}-{digest[7:19]}"


def numbered_id(tenant: str, sender_id: str, number: int) -> str:
    """Return the id of the `number`-th of several events that share the sender's id."""
    event_id = f"{sender_id}#{number}"
    return event_id if len(event_id) <= LONGEST_ID else derived_id(tenant, event_id)
