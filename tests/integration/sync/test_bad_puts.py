"""What one tenant puts that can't be kept is a dead letter; the catalogue of the others goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.events import ItemPut
from shared.events.topics import PUTS
from shared.kafka import Consumer, committed_up_to_end, encoded
from shared.kafka.producer import Producer
from shared.settings import KafkaSettings
from tests.integration.sync.shop import TENANT, Shop
from tests.support.kafka import fresh_topic, raw_records, running
from tests.support.waiting import PATIENCE, eventually

BAD: tuple[dict[str, Any], ...] = (
    {"created_at": "9999-12-31T23:59:59-14:00"},
    {"created_at": "0001-01-01T00:00:00+14:00"},
    {"Colour": "red@"},
)
COUNT = 300
NUL = (b"red@", b"red\\u0000")
"""No event can be made with it any more, but older ones may have it."""


def put(tenant: str, n: int, fields: dict[str, Any]) -> ItemPut:
    return ItemPut(
        event_id=f"{tenant}-{n}",
        tenant=tenant,
        occurred_at=datetime.now(UTC),
        item_id=f"i{n}",
        fields=fields,
    )


async def test_puts_that_postgres_refuses_halt_nobody(shop: Shop, kafka_settings: KafkaSettings) -> None:
    kafka = kafka_settings
    topic = await fresh_topic(kafka, PUTS, partitions=1, service="sync")
    bad = [put("noisy", n, BAD[n % len(BAD)]) for n in range(COUNT)]
    good = [put(TENANT, n, {"name": "tea"}) for n in range(20)]
    producer = Producer(kafka, "test")
    records = [encoded(event, "tracker", "") for event in [*good[:5], *bad, *good[5:]]]
    records = [replace(record, value=(record.value or b"").replace(*NUL)) for record in records]
    await producer.deliver(topic.name, records, PATIENCE)
    await producer.stop()
    consumer = Consumer(kafka, "sync")
    consumer.subscribe(topic, shop.handlers.put)

    async with running(consumer):
        await eventually(lambda: committed_up_to_end(kafka, "sync", topic), every=0.1)
        assert (consumer.ready(), consumer.alive()) == (None, None)

    kept = await shop.rows("SELECT tenant, item_id FROM items")
    assert {(row["tenant"], row["item_id"]) for row in kept} == {(TENANT, event.item_id) for event in good}
    letters = await raw_records(kafka, topic.dlq("sync"))
    assert {dict(letter.headers)["ce_id"].decode() for letter in letters} == {event.event_id for event in bad}
    assert len(letters) == COUNT
