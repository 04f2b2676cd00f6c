"""What a subscription does at the moment: it reads, handles, or waits for a dependency, and since when."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from time import monotonic

from shared.observability import gauge

FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 10.0

UNREADY_SECONDS = 60.0
"""Shorter waits are restarts of a dependency, which nobody need look at."""

MAX_REASON_CHARACTERS = 300

WAITING = gauge(
    "endcap_kafka_consumer_waiting_seconds",
    "Seconds that a subscription has been waiting for a dependency; 0 while it works.",
    ["topic", "group"],
)


class Ending(Exception):
    """The consumer ends: leave the records unfinished, and so uncommitted, for the next one."""


class Activity:
    """The activity of one subscription: for its watchdog, readiness, metrics and alerts."""

    def __init__(self, topic: str, group: str) -> None:
        self.busy = False
        """Whether the records of a poll are being handled."""
        self.active_at = monotonic()
        """When a handler last returned, or a dependency last proved to be away; later during a pause."""
        self._name = f"reading {topic} as {group}"
        self._waiting_since: float | None = None
        self._waits_for = ""
        WAITING.labels(topic, group).set_function(self.waiting_seconds)

    @contextlib.contextmanager
    def handling(self) -> Iterator[None]:
        """Be busy."""
        self.busy, self.active_at = True, monotonic()
        try:
            yield
        finally:
            self.busy, self.active_at = False, monotonic()

    def worked(self) -> None:
        """Note that a handler or a dependency did what it was asked for."""
        self.active_at = monotonic()
        self._waiting_since = None

    def waits(self, reason: str) -> None:
        """Note what did not work; the wait counts from its first reason."""
        self.active_at = monotonic()
        self._waits_for = reason
        if self._waiting_since is None:
            self._waiting_since = monotonic()

    def waiting_seconds(self) -> float:
        """Return how long it has been waiting, 0 when it isn't."""
        since = self._waiting_since
        return 0.0 if since is None else monotonic() - since

    def long_wait(self) -> str | None:
        """Return what it waits for once that has taken longer than `UNREADY_SECONDS`."""
        seconds = self.waiting_seconds()
        if seconds <= UNREADY_SECONDS:
            return None
        return f"{self._name} has been waiting for {seconds:.0f} s: {self._waits_for[:MAX_REASON_CHARACTERS]}"

    async def pause(self, seconds: float, ending: asyncio.Event) -> None:
        """Wait; raise Ending when the consumer ends. The watchdog does not doubt until the pause is over."""
        self.active_at = monotonic() + 1.2 * seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):  # noqa: S311
                await ending.wait()
        self.active_at = monotonic()
        if ending.is_set():
            raise Ending


def pauses() -> Iterator[float]:
    """Yield the seconds of one pause after the other, without end."""
    seconds = FIRST_PAUSE_SECONDS
    while True:
        yield seconds
        seconds = min(seconds * 2, MAX_PAUSE_SECONDS)
