"""The watchdog of the subscriptions: it measures their lag, and ends a process that stands still.

A consumer can stay alive without receiving records, and no method of the client shows it (hazard 10). So the
watchdog compares the group's offsets with Kafka's; while Kafka is not reachable, nothing counts as a
standstill (hazard 11).
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
"""Shortest interval between comparisons of the offsets; arbitrary."""

LAG = gauge("endcap_kafka_consumer_lag", "Records that the group has not committed.", ["topic", "group"])

log = structlog.get_logger()


class Watchdog:
    """Ends the process when a subscription stands still although Kafka has records for it."""

    def __init__(self, settings: KafkaSettings, client_id: str, stall_seconds: float) -> None:
        """Allow a standstill of `stall_seconds`."""
        self._settings = settings
        self._client_id = client_id
        self._stall_seconds = stall_seconds
        self._unreachable_at = 0.0
        self._waiting_since: dict[Subscription, float] = {}
        """Monotonic seconds of the first look that saw records for a subscription, until one sees none."""
        self._task: asyncio.Task[None] | None = None

    def start(self, subscriptions: Sequence[Subscription], end: Callable[[str], None]) -> None:
        """Check the subscriptions periodically; `end` is called with the reason to end the process."""
        self._task = asyncio.create_task(self._watch(subscriptions, end), name="kafka-watchdog")

    async def stop(self) -> None:
        """Stop checking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self, subscriptions: Sequence[Subscription], end: Callable[[str], None]) -> None:
        pause = min(LOOK_SECONDS, self._stall_seconds / 4)
        while True:
            await asyncio.sleep(pause)
            try:
                async with offsets(self._settings, self._client_id) as client:
                    while True:
                        for subscription in subscriptions:
                            if reason := await self._standstill(subscription, client):
                                end(reason)
                        await asyncio.sleep(pause)
            except Transient as error:
                self._unreachable_at = monotonic()
                log.info("kafka.watchdog_blind", error=str(error))

    async def _standstill(self, subscription: Subscription, client: Offsets) -> str | None:
        """Set the lag of a subscription; return why it stands still, None if it does not."""
        topic, group, activity = subscription.topic.name, subscription.group, subscription.activity
        ends = await client.ends(topic)
        done = await client.committed(group, topic)
        LAG.labels(topic, group).set(missing(ends, done))
        consumer = subscription.session.consumer
        if consumer is None or subscription.session.opening:
            return None
        quiet = monotonic() - max(activity.active_at, consumer.opened_at, self._unreachable_at)
        unpolled = quiet if activity.busy else monotonic() - max(consumer.polled_at, self._unreachable_at)
        assigned = {tp.partition for tp in consumer.assignment()}
        waiting = missing({number: end for number, end in ends.items() if number in assigned}, done)
        if waiting:
            # A record that comes after an hour without any may be seen here before the consumer gets it.
            quiet = min(quiet, monotonic() - self._waiting_since.setdefault(subscription, monotonic()))
        else:
            self._waiting_since.pop(subscription, None)
            subscription.caught_up()
        if unpolled > self._stall_seconds:
            return f"{group} has not polled {topic} for {unpolled:.0f} s"
        if waiting and quiet > self._stall_seconds:
            return f"{group} gets none of {waiting} records of {topic}"
        return None
