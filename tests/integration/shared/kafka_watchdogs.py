"""Consumers with a watchdog, and the clock that it reads."""

from __future__ import annotations

from time import monotonic
from typing import Any

from shared.events.topics import Topic
from shared.kafka import Consumer
from shared.settings import KafkaSettings

STALL_SECONDS = 2.0


class Clock:
    """The monotonic clock of the consumers, which a test may put ahead instead of waiting."""

    ahead = 0.0

    def __call__(self) -> float:
        """Return its seconds."""
        return self.ahead + monotonic()


def watched(
    settings: KafkaSettings, topic: Topic, handler: Any, stall_seconds: float = STALL_SECONDS
) -> Consumer:
    """Return a consumer whose process ends when it stands still for `stall_seconds`."""
    consumer = Consumer(settings, "tracker", stall_seconds=stall_seconds)
    consumer.subscribe(topic, handler)
    return consumer
