"""Watches that every subscription gets on, and measures how far it is behind.

A consumer can live on without ever being given a record again, and no health signal of the client says
so. Only a comparison with Kafka itself does; while Kafka is away, nobody is to blame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from shared.errors import Transient
from shared.kafka.offsets import Offsets, missing, offsets
from shared.observability import gauge

if TYPE_CHECKING:
    from shared.kafka.subscription import Subscription
    from shared.settings import KafkaSettings

LOOK_SECONDS = 10.0

LAG = gauge("endcap_kafka_consumer_lag", "Records that the group has not committed.", ["topic", "group"])

log = structlog.get_logger()


class Watchdog:
    """Ends the process when a subscription stands still though Kafka has records for it."""

    def __init__(self, settings: KafkaSettings, client_id: str, stall_seconds: float) -> None:
        """Allow a standstill of `stall_seconds`."""
        self._settings = settings
        self._client_id = client_id
        self._stall_seconds = stall_seconds
        self._away_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self, subscriptions: Sequence[Subscription], end: Callable[[str], None]) -> None:
        """Look at the subscriptions from time to time; call `end` with the reason to end."""
        self._task = asyncio.create_task(self._watch(subscriptions, end), name="kafka-watchdog")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self, subscriptions: Sequence[Subscription], end: Callable[[str], None]) -> None:
        pause = min(LOOK_SECONDS, self._stall_seconds / 4)
        while True:
            await asyncio.sleep(pause)
            try:
                async with offsets(self._settings, self._client_id) as asked:
                    while True:
                        for one in subscriptions:
                            if reason := await self._look(one, asked):
                                end(reason)
                        await asyncio.sleep(pause)
            except Transient as error:
                self._away_at = monotonic()
                log.info("kafka.watchdog_blind", error=str(error))

    async def _look(self, one: Subscription, asked: Offsets) -> str | None:
        ends = await asked.ends(one.topic.name)
        done = await asked.committed(one.group, one.topic.name)
        behind = missing(ends, done)
        LAG.labels(one.topic.name, one.group).set(behind)
        consumer = one.session.consumer
        if consumer is None or one.session.opening:
            return None
        quiet = monotonic() - max(one.activity.active_at, consumer.opened_at, self._away_at)
        unpolled = quiet if one.activity.busy else monotonic() - max(consumer.polled_at, self._away_at)
        mine = {tp.partition for tp in consumer.assignment()}
        waiting = missing({at: end for at, end in ends.items() if at in mine}, done)
        if not waiting:
            one.caught_up()
        if unpolled > self._stall_seconds:
            return f"{one.group} has not polled {one.topic.name} for {unpolled:.0f} s"
        if waiting and quiet > self._stall_seconds:
            return f"{one.group} gets none of {waiting} records of {one.topic.name}"
        return None
