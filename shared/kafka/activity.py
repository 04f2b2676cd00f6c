"""The activity of a subscription (reading, handling, waiting for a dependency), and since when."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from time import monotonic

from shared.observability import gauge

FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 10.0
"""Pauses between retries double from the first to this one; arbitrary."""

UNREADY_SECONDS = 60.0
"""After so long a wait the process is not ready; restarts of a dependency are shorter. Arbitrary."""

MAX_REASON_CHARACTERS = 300
"""Characters of a reason in the answer of /readyz; arbitrary."""

WAITING = gauge(
    "endcap_kafka_consumer_waiting_seconds",
    "Seconds that a subscription has been waiting for a dependency; 0 while it works.",
    ["topic", "group"],
)


class ConsumerEnding(Exception):
    """The consumer is ending: its unfinished records stay uncommitted, and the next consumer gets them."""


class Activity:
    """The activity of one subscription, for its watchdog, readiness and metrics."""

    def __init__(self, topic: str, group: str) -> None:
        self.busy = False
        """True while the records of a poll are being handled."""
        self.active_at = monotonic()
        """Monotonic seconds when a handler last returned or a dependency last failed; later in a pause."""
        self._name = f"reading {topic} as {group}"
        self._waiting_since: float | None = None
        self._waits_for = ""
        WAITING.labels(topic, group).set_function(self.waiting_seconds)

    @contextlib.contextmanager
    def handling(self) -> Iterator[None]:
        """Count as busy inside the context."""
        self.busy, self.active_at = True, monotonic()
        try:
            yield
        finally:
            self.busy, self.active_at = False, monotonic()

    def worked(self) -> None:
        """Record a success of a handler or a dependency, which ends a wait."""
        self.active_at = monotonic()
        self._waiting_since = None

    def waits(self, reason: str) -> None:
        """Record a failure of a dependency; a wait starts with its first failure."""
        self.active_at = monotonic()
        self._waits_for = reason
        if self._waiting_since is None:
            self._waiting_since = monotonic()

    def waiting_seconds(self) -> float:
        """Return how long it has been waiting; 0.0 while it is not."""
        since = self._waiting_since
        return 0.0 if since is None else monotonic() - since

    def long_wait(self) -> str | None:
        """Return what it waits for if it has waited longer than `UNREADY_SECONDS`, else None."""
        seconds = self.waiting_seconds()
        if seconds <= UNREADY_SECONDS:
            return None
        return f"{self._name} has been waiting for {seconds:.0f} s: {self._waits_for[:MAX_REASON_CHARACTERS]}"

    async def pause(self, seconds: float, ending: asyncio.Event) -> None:
        """Sleep for `seconds` ± 20 %; raises ConsumerEnding when `ending` is set.

        The pause does not count as inactivity.
        """
        self.active_at = monotonic() + 1.2 * seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):  # noqa: S311
                await ending.wait()
        self.active_at = monotonic()
        if ending.is_set():
            raise ConsumerEnding


def pauses() -> Iterator[float]:
    """Yield the seconds of one pause after another, without end: exponential back-off."""
    seconds = FIRST_PAUSE_SECONDS
    while True:
        yield seconds
        seconds = min(seconds * 2, MAX_PAUSE_SECONDS)
