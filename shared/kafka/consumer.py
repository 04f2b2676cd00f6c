"""Consuming: each poll's events go to a handler, and offsets are committed after it has returned.

A record is handled at least once. What a handler can't take goes to the dead-letter topic; what it can't
take now, because a dependency is away, is tried again until it can.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from shared.kafka.adapter import GATHER_SECONDS
from shared.kafka.calling import Handler
from shared.kafka.producer import Producer
from shared.kafka.subscription import Subscription
from shared.kafka.watchdog import Watchdog

if TYPE_CHECKING:
    from shared.events.topics import Topic
    from shared.settings import KafkaSettings

MAX_CONSECUTIVE_BAD = 200
"""As many as Sentry's consumers allow; fewer may be one batch of one shop."""

STALL_SECONDS = 60.0

log = structlog.get_logger()


class Consumer:
    """The subscriptions of one process. A part: it lives as long as its process."""

    name = "kafka-consumer"

    def __init__(
        self,
        settings: KafkaSettings,
        service: str,
        *,
        max_consecutive_bad: int = MAX_CONSECUTIVE_BAD,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        """Consume for `service`.

        After `max_consecutive_bad` bad records in a row, of several tenants, a subscription halts for a
        while, since then the fault is rather ours than theirs. A process that doesn't get on for
        `stall_seconds` ends.
        """
        self._settings = settings
        self._service = service
        self._max_consecutive_bad = max_consecutive_bad
        self._dead_letters = Producer(settings, f"{service}-dead-letters")
        self._watchdog = Watchdog(settings, f"{service}-watchdog", stall_seconds)
        self.subscriptions: list[Subscription] = []

    def subscribe(
        self,
        topic: Topic,
        handler: Handler,
        *,
        group: str | None = None,
        purpose: str | None = None,
        batch: int = 500,
        gather: float = GATHER_SECONDS,
    ) -> None:
        """Give the events of each poll of `topic`, at most `batch`, to `handler`.

        A handler that costs much for each call, and isn't waited for, lets events `gather` for that many
        seconds between two polls; the first event after a silence comes at once all the same.

        Events come in order per key. The group is the service's name, or `<service>-<purpose>`. On a
        compacted topic the handler also gets `Tombstone`s. The handler raises Transient to be called
        again with the same events later, and Permanent for events that it can never take: then each
        is tried alone, and goes to the dead-letter topic if it fails again.
        """
        if self._service not in topic.consumers:
            message = f"the registry of topics doesn't list {self._service} as consumer of {topic.name}"
            raise ValueError(message)
        self.subscriptions.append(
            Subscription(
                self._settings,
                topic,
                handler,
                service=self._service,
                group=group or (f"{self._service}-{purpose}" if purpose else self._service),
                batch=batch,
                gather=gather,
                dead_letters=self._dead_letters,
                max_consecutive_bad=self._max_consecutive_bad,
            )
        )

    async def start(self) -> None:
        """Begin to read; Kafka may be away."""
        for subscription in self.subscriptions:
            subscription.session.start()
        self._watchdog.start(self.subscriptions, end=_end_process)

    async def stop(self) -> None:
        """End within a few seconds; calls of handlers that are under way may end, and no other begins."""
        await self._watchdog.stop()
        await asyncio.gather(*(subscription.session.stop() for subscription in self.subscriptions))
        await self._dead_letters.stop()

    def alive(self) -> str | None:
        """Return which subscription only a restart may help, and why."""
        return _all(subscription.alive() for subscription in self.subscriptions)

    def ready(self) -> str | None:
        """Return which subscriptions have halted or wait for a dependency for long, and why."""
        return _all(subscription.ready() for subscription in self.subscriptions)


def _all(sentences: Iterable[str | None]) -> str | None:
    return "; ".join(filter(None, sentences)) or None


def _end_process(reason: str) -> None:
    """Leave at once: the supervisor starts the process again, and a new consumer gets on."""
    log.critical("kafka.consumer_stalled", reason=reason)
    os._exit(1)
