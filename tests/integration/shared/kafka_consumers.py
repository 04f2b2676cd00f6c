"""Consumers, publication and bad records for the tests of Kafka consumption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.events import Event
from shared.events.topics import Topic
from shared.kafka import Consumer, Publisher, Record, committed_up_to_end
from shared.settings import KafkaSettings
from tests.support.kafka import running
from tests.support.waiting import PATIENCE, eventually


def consumer(settings: KafkaSettings, topic: Topic, handler: Any, **options: Any) -> Consumer:
    made = Consumer(settings, "tracker", **options)
    made.subscribe(topic, handler)
    return made


async def publish(settings: KafkaSettings, topic: Topic, events: Sequence[Event]) -> None:
    publisher = Publisher(settings, "tracker", [topic])
    async with running(publisher):
        for begin in range(0, len(events), 500):
            await publisher.publish(topic, events[begin : begin + 500], within=PATIENCE)


async def publish_raw(settings: KafkaSettings, topic: Topic, *records: Record) -> None:
    publisher = Publisher(settings, "tracker", [topic])
    async with running(publisher):
        await publisher.publish_raw(topic.name, records, within=PATIENCE)


async def until_committed(settings: KafkaSettings, topic: Topic, group: str = "tracker") -> None:
    await eventually(lambda: committed_up_to_end(settings, group, topic), every=0.1)


BAD = Record(b"shop:u1", b"{not json")


def bad_ones(count: int, tenants: int = 3) -> list[Record]:
    """Records that nobody can read, of so many tenants in turn."""
    return [Record(f"shop-{n % tenants}:u1".encode(), b"{not json") for n in range(count)]
