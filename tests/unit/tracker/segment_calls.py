"""Calls of Segment, and what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from services.tracker.domain.batch import parse_events
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import AcceptedCall
from shared.events import InteractionRecorded

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
TRACK = {"type": "track", "userId": "u", "anonymousId": "a", "messageId": "m", "event": "Product Added"}
# The examples of Segment's specification, as far as they matter here.
ORDER = TRACK | {
    "event": "Order Completed",
    "properties": {
        "checkout_id": "fksdjfsdjfisjf9sdfjsd9f",
        "order_id": "50314b8e9bcf000000000000",
        "affiliation": "Google Store",
        "total": 27.50,
        "currency": "USD",
        "products": [
            {"product_id": "507f1f77bcf86cd799439011", "name": "Monopoly", "price": "19", "quantity": 1},
            {"product_id": "505bd76785ebb509fc183733", "name": "Uno", "price": 3, "quantity": 2},
            {"product_id": "505bd76785ebb509fc183733", "name": "Uno, blue", "price": 3, "quantity": 2},
        ],
    },
}


def context() -> IngestContext:
    numbers = count(1)
    return IngestContext("shop", NOW, NOW - timedelta(days=7300), lambda: f"new-{next(numbers)}")


def outcome(event: Any) -> Any:
    (result,) = parse_events([event], context(), max_bytes=None)
    return result


def recorded(event: Any) -> tuple[InteractionRecorded, ...]:
    result = outcome(event)
    assert isinstance(result, AcceptedCall), result
    return result.events


def only_event(event: Any) -> InteractionRecorded:
    (result,) = recorded(event)
    return result
