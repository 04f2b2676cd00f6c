"""Events of histories, and what Redis has of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

import orjson

from services.recommender.domain.history_events import HistoryEvent
from services.recommender.store.histories import Retention
from services.recommender.store.keys import history_key, purchases_key
from shared.redis import Multiplexer

RETENTION = Retention(purchases=timedelta(days=30), history=timedelta(days=90), session=timedelta(days=14))
NOW = float(int(time.time()))


def event_id(n: int) -> str:
    """Return an event; half of the ids contain a quote, which the scripts parse differently."""
    return f'e"{n}' if n % 2 else f"e{n}"


def history_event(
    n: int, seconds: float, *, user: str | None = "u", session: str | None = None
) -> HistoryEvent:
    kind = "purchase" if n % 5 == 0 else "view"
    return HistoryEvent("shop", user, session, f"item {n % 7}", kind, seconds, event_id(n))


async def history(redis: Multiplexer, subject: str = "u") -> list[tuple[str, float, str]]:
    (entries,) = await redis.execute(("LRANGE", history_key("shop", subject), 0, -1))
    return [(item, seconds, event) for item, _, seconds, event in map(orjson.loads, entries)]


async def bought(redis: Multiplexer, subject: str = "u") -> dict[str, float]:
    (flat,) = await redis.execute(("ZRANGE", purchases_key("shop", subject), 0, -1, "WITHSCORES"))
    return {item.decode(): float(at) for item, at in zip(flat[::2], flat[1::2], strict=True)}


def expected(history_events: Sequence[HistoryEvent]) -> tuple[list[tuple[float, str]], dict[str, float]]:
    """Return the newest hundred events by time, and the last purchase of each item."""
    unique = {event.event_id: event for event in history_events}.values()
    purchases: dict[str, float] = {}
    for event in unique:
        if event.is_purchase:
            purchases[event.item_id] = max(event.seconds, purchases.get(event.item_id, 0.0))
    newest = sorted(((event.seconds, event.event_id) for event in unique), reverse=True)
    return newest[:100], purchases
