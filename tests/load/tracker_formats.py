"""Requests of `count` product views in each wire format of the tracker, as clients send them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

NOW: Final = datetime.now(UTC)
TIME: Final = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
"""The clocks of clients are right: events of the past would cost the note of what was claimed."""
MOST_EVENTS_OF_GA4: Final = 25
_ids = itertools.count()


class Format(NamedTuple):
    """The path of a format, and its body with so many events; GA4 allows 25."""

    path: str
    body: Callable[[int], Any]


def _native(count: int) -> list[dict[str, object]]:
    return [
        {"user_id": f"user-{number}", "event_type": "view", "item_id": f"item-{number}", "price": 9.5}
        for number in range(count)
    ]


def _segment(count: int) -> dict[str, object]:
    call = {"type": "track", "event": "Product Viewed", "timestamp": TIME, "integrations": {}}
    context = {"library": {"name": "analytics-node", "version": "3.1.0"}}
    batch = [
        call
        | {"userId": f"user-{number}", "messageId": f"segment-{next(_ids)}", "context": context}
        | {"properties": {"product_id": f"item-{number}", "price": 9.5}}
        for number in range(count)
    ]
    return {"batch": batch, "sentAt": TIME}


def _posthog(count: int) -> dict[str, object]:
    batch = [
        {"event": "Product Viewed", "distinct_id": f"user-{number}", "uuid": f"posthog-{next(_ids)}"}
        | {"timestamp": TIME, "properties": {"product_id": f"item-{number}", "price": 9.5, "$lib": "node"}}
        for number in range(count)
    ]
    return {"batch": batch, "sent_at": TIME}


def _snowplow(count: int) -> dict[str, object]:
    event = {
        "e": "se",
        "se_ca": "shop",
        "se_ac": "product_view",
        "dtm": f"{NOW.timestamp():.0f}000",
        "tv": "node-4.8.0",
    }
    data = [
        event | {"uid": f"user-{number}", "se_la": f"item-{number}", "eid": f"snowplow-{next(_ids)}"}
        for number in range(count)
    ]
    return {"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": data}


def _cloud_events(count: int) -> list[dict[str, object]]:
    event = {"specversion": "1.0", "source": "/shop", "type": "com.shop.product.viewed.v1", "time": TIME}
    return [
        event
        | {"id": f"cloud-{next(_ids)}", "data": {"user_id": f"user-{number}", "item_id": f"item-{number}"}}
        for number in range(count)
    ]


def _ga4(count: int) -> dict[str, object]:
    events = [
        {"name": "view_item", "timestamp_micros": int(NOW.timestamp() * 1e6) + next(_ids)}
        | {"params": {"currency": "EUR", "items": [{"item_id": f"item-{number}", "price": 9.5}]}}
        for number in range(min(count, MOST_EVENTS_OF_GA4))
    ]
    return {"client_id": "client-1", "user_id": "user-1", "events": events}


FORMATS: Final[Mapping[str, Format]] = {
    "native": Format("/v1/events", _native),
    "Segment": Format("/v1/batch", _segment),
    "PostHog": Format("/batch/", _posthog),
    "Snowplow": Format("/com.snowplowanalytics.snowplow/tp2", _snowplow),
    "CloudEvents": Format("/v1/events", _cloud_events),
    "GA4": Format("/mp/collect", _ga4),
}
