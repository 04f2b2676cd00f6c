"""Replay of dead letters: each is published to its original topic as it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import Permanent, Transient
from shared.kafka.connection import client_options
from shared.kafka.deadletters import ORIGINAL, without_ours
from shared.kafka.offsets import offsets
from shared.kafka.producer import Producer
from shared.kafka.records import Record, header

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from shared.settings import KafkaSettings

POLL_MS = 1_000
DELIVER_SECONDS = 10.0
MAX_REMEMBERED = 100_000
"""Letters among which a second letter of a record is recognized; the two are close to each other."""


async def replay(settings: KafkaSettings, dlq_topic: str, limit: int | None = None) -> int:
    """Publish at most `limit` letters of `dlq_topic` to their original topics; return how many.

    A record with two letters, because its consumer ended between letter and commit, is published once. The
    letters stay in the topic; the next replay continues at the offsets of the group `<dlq_topic>-replay`.
    Records keep their key, value and headers, and so their ids.

    Raises Permanent if the topic is not a dead-letter topic or a letter does not name its original topic,
    and Transient if Kafka is not reachable.
    """
    if not dlq_topic.endswith("-dlq"):
        message = f"{dlq_topic} is not a dead-letter topic: their names end in -dlq"
        raise Permanent(message)
    async with offsets(settings) as client:
        ends = await client.ends(dlq_topic)
    producer = Producer(settings, "replay")
    consumer = AIOKafkaConsumer(
        **client_options(settings, "replay"),
        group_id=f"{dlq_topic}-replay",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    consumer.assign([TopicPartition(dlq_topic, partition) for partition in ends])
    done = 0
    sent: dict[tuple[str | None, ...], None] = {}
    try:
        if not ends:
            return 0
        await consumer.start()
        while (limit is None or done < limit) and await _behind(consumer, dlq_topic, ends):
            room = 500 if limit is None else min(500, limit - done)
            for partition, letters in (await consumer.getmany(timeout_ms=POLL_MS, max_records=room)).items():
                for letter in letters:
                    original = tuple(header(letter, name) for name in ORIGINAL)
                    if original not in sent:
                        await _resend(producer, letter)
                        sent[original] = None
                    if len(sent) > MAX_REMEMBERED:
                        del sent[next(iter(sent))]
                    done += 1
                    await consumer.commit({partition: letter.offset + 1})
    except (KafkaError, OSError) as error:
        message = f"Kafka was not reachable after {done} letters: {error!r}; replay again"
        raise Transient(message) from error
    finally:
        await asyncio.gather(consumer.stop(), producer.stop())
    return done


async def _behind(consumer: AIOKafkaConsumer, topic: str, ends: dict[int, int]) -> bool:
    """Return whether letters are left before the end offsets of the start."""
    positions = [
        (await consumer.position(TopicPartition(topic, number)), end) for number, end in ends.items()
    ]
    return any(position < end for position, end in positions)


async def _resend(producer: Producer, letter: ConsumerRecord[bytes, bytes]) -> None:
    topic = header(letter, "original_topic")
    if topic is None:
        message = f"offset {letter.offset} of {letter.topic} has no header original_topic"
        raise Permanent(message)
    record = Record(letter.key, letter.value, without_ours(letter.headers))
    await producer.deliver(topic, [record], DELIVER_SECONDS)
