"""Whether two events under one id say the same."""

from __future__ import annotations

from hashlib import blake2b

import orjson

from shared.events import InteractionRecorded


def fingerprint(event: InteractionRecorded) -> int:
    """64 bits of what an event says, as a signed number.

    Left out is what may differ between two reports of one fact: when they arrived, and by which clock they
    were dated. The line of an order is reported by the page and by the shop, of which only one may know
    the user or the city; so of a line only the line itself counts.
    """
    said: tuple[object, ...] = (
        event.event_type,
        event.item_id,
        event.quantity,
        event.price,
        event.order_id,
    )
    if event.order_id is None or event.event_type != "purchase":
        said += (
            event.user_id,
            event.session_id,
            event.value,
            event.recommendation_id,
            event.impression,
            event.properties,
        )
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(text, digest_size=8).digest(), signed=True)
