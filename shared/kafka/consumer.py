"""Consumption: a handler gets the events of each poll, and offsets are committed after it has returned.

A record is handled at least once. Records that a handler refuses go to the dead-letter topic; while a
dependency is not reachable, the handler is called again until it succeeds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from shared.kafka.adapter import GATHER_SECONDS
from shared.kafka.producer import Producer
from shared.kafka.retrying_handler import Handler
from shared.kafka.subscription import Subscription
from shared.kafka.watchdog import Watchdog

if TYPE_CHECKING:
    from shared.events.topics import Topic
    from shared.settings import KafkaSettings

MAX_CONSECUTIVE_BAD = 200
"""The limit of Sentry's consumers (arroyo's DlqLimit); fewer may be one batch of one shop."""

STALL_SECONDS = 60.0
"""Time that a subscription may stand still; twice the rebalance timeout."""

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
        while, since the cause is then probably a defect. A process that stands still for `stall_seconds`
        exits.
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
        positions: bool = False,
        only: Sequence[bytes] = (),
    ) -> None:
        """Call `handler` with the events of each poll of `topic`, at most `batch`, in order per key.

        `gather` is the pause in seconds after a poll with records, for handlers whose calls are expensive and
        not urgent; the first event after a pause is handled at once. With `positions` the handler gets each
        event as `Positioned`, with the partition and offset of its record. With `only` it gets the records
        whose bytes contain one of those texts; the others are not decoded.

        The group is the service's name, or `<service>-<purpose>`. On a compacted topic the handler also gets
        `Tombstone`s. The handler raises Transient to be called again with the same events later, and
        Permanent for invalid events: each is then tried alone, and goes to the dead-letter topic if it fails
        again. Raises ValueError if the registry does not list the service as a consumer of the topic.
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
                positions=positions,
                only=only,
            )
        )

    async def start(self) -> None:
        """Start reading; Kafka need not be reachable."""
        for subscription in self.subscriptions:
            subscription.session.start()
        self._watchdog.start(self.subscriptions, end=_end_process)

    async def stop(self) -> None:
        """Stop within a few seconds: running calls of handlers may return, and no others start."""
        await self._watchdog.stop()
        await asyncio.gather(*(subscription.session.stop() for subscription in self.subscriptions))
        await self._dead_letters.stop()

    def alive(self) -> str | None:
        """Return which subscriptions need a restart of the process, and why; None if none does."""
        return _all(subscription.alive() for subscription in self.subscriptions)

    def ready(self) -> str | None:
        """Return which subscriptions have halted or have waited for long, and why; None if none has."""
        return _all(subscription.ready() for subscription in self.subscriptions)


def _all(sentences: Iterable[str | None]) -> str | None:
    return "; ".join(filter(None, sentences)) or None


def _end_process(reason: str) -> None:
    """Exit at once: the supervisor restarts the process, and its new consumer goes on."""
    log.critical("kafka.consumer_stalled", reason=reason)
    os._exit(1)
