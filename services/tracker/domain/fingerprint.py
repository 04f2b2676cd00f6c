"""The fingerprint of an event: it differs when two events under one id have different content."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson

from services.tracker.domain.properties import CLAIMED_TIME
from shared.events import InteractionRecorded


def fingerprint(event: InteractionRecorded) -> int:
    """Return 64 bits of BLAKE2b of an event's content, as a signed number.

    Two reports of the same fact have the same fingerprint: the times are left out, also the claimed one among
    the properties, since whether a clock counts as wrong depends on how long a request takes. An order line
    is reported by the page and by the shop, and only one of them may know the user or the city, so only the
    fields of the line count.
    """
    content: tuple[object, ...] = (
        event.event_type,
        event.item_id,
        event.quantity,
        event.price,
        event.order_id,
    )
    if event.order_id is None or event.event_type != "purchase":
        content += (
            event.user_id,
            event.session_id,
            event.value,
            event.recommendation_id,
            event.impression,
            _without_claimed_time(event.properties),
        )
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(text, digest_size=8).digest(), signed=True)


def _without_claimed_time(properties: dict[str, Any] | None) -> dict[str, Any] | None:
    if properties is None or CLAIMED_TIME not in properties:
        return properties
    return {name: value for name, value in properties.items() if name != CLAIMED_TIME} or None
