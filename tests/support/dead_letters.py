"""Dead letters, written as the tracker's consumer writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.events.topics import INTERACTIONS
from shared.kafka import Producer, Record
from shared.kafka.deadletters import Failure, dead_letters
from shared.settings import KafkaSettings
from tests.support.waiting import PATIENCE

DLQ = INTERACTIONS.dlq("tracker")


@dataclass
class Failed:
    """A record that a consumer could not handle."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


async def bury(settings: KafkaSettings, record: Record, offset: int, *, whole: bool = True) -> None:
    """Write the dead letter of a record as the tracker's consumer does; the smallest one unless `whole`."""
    failed = Failed(INTERACTIONS.name, 0, offset, 0, record.key, record.value, record.headers)
    letters = [*dead_letters(failed, Failure("Permanent", "a defect", 3), "tracker-store")]
    producer = Producer(settings, "test")
    await producer.deliver(DLQ, [letters[0 if whole else 1]], PATIENCE)
    await producer.stop()
