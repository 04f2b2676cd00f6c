"""Time from the tracker's 2xx of a purchase until that user's list has the item no more.

Tracker, recommender and its worker run as processes over Kafka and Redis. The client asks for the list again
as soon as it has the last one, so a request's time is part of the figure.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from urllib.error import HTTPError

from tests.load import serving_shop as shop
from tests.load.figures import Figure
from tests.load.serving_process import PREFIX, call, is_filled, server, serving_stack, wait_until

MOST_SECONDS = 1.0
"""The promise, of 99 of 100 events (docs/serving.md)."""


@dataclass(frozen=True)
class Size:
    """The shop, and the number of events, each of another user."""

    items: int
    events: int


FULL = Size(items=500, events=1_000)


def run() -> Iterator[Figure]:
    """Measure over components of its own."""
    with serving_stack() as stack:
        yield from measure(stack.environment, FULL)


def measure(environment: Mapping[str, str], size: Size) -> Iterator[Figure]:
    """Yield the p50 and the p99."""
    environment = {**environment, **shop.SETTINGS}
    # Every fourth user has purchases of the shop.
    shop.fill(environment, size.events + 1, size.items)
    with ExitStack() as processes:
        _, tracker = processes.enter_context(server("services.tracker", environment))
        _, port = processes.enter_context(server("services.recommender", environment))
        processes.enter_context(server("services.recommender", environment, "worker"))
        wait_until(lambda: is_filled(port, size.items))
        _seconds(tracker, port, 0, "warm up")
        seconds = sorted(_seconds(tracker, port, user, "bench") for user in range(1, size.events + 1))
    count = len(seconds)
    name = f"from the 2xx of an event to the changed answer, {count:,} events"
    middle, high = seconds[count // 2], seconds[count * 99 // 100]
    yield Figure(f"{name}: p50", middle * 1e3, "ms")
    yield Figure(f"{name}: p99", high * 1e3, "ms", "", "< 1 s, aim 250 ms", limit=MOST_SECONDS * 1e3)


def _seconds(tracker: int, recommender: int, user: int, run: str) -> float:
    """Return the seconds until the first item of the user's list is gone, once the user bought it."""
    path = f"{PREFIX}/recommendations/u{user}"
    first = _listed(recommender, path)[0]
    event = {
        "event_id": f"{run}-{user}",
        "user_id": f"u{user}",
        "event_type": "purchase",
        "item_id": first,
    }
    wait_until(lambda: _is_accepted(tracker, event))
    began = time.perf_counter()
    while first in _listed(recommender, path):
        if time.perf_counter() - began > 30:
            message = f"{first} is still recommended to u{user} after 30 s"
            raise TimeoutError(message)
    return time.perf_counter() - began


def _listed(recommender: int, path: str) -> list[str]:
    """Return the items of an answer from Redis: no other store has what happened a moment ago."""
    answer = call(recommender, path)
    while answer["source"] != "redis":  # a busy machine, on which Redis took longer than 20 ms
        answer = call(recommender, path)
    return [item["product_id"] for item in answer["recommendations"]]


def _is_accepted(tracker: int, event: dict[str, str]) -> bool:
    try:
        call(tracker, "/v1/events", event)
    except HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        return False  # while Kafka is being reached
    except OSError:
        return False
    return True
