"""Replaying dead letters: each goes back to the topic it came from, as it was."""

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
"""Letters among which a second one of the same record is recognized; the two lie close to each other."""


async def replay(settings: KafkaSettings, graveyard: str, limit: int | None = None) -> int:
    """Publish the letters in `graveyard` to their topics again, `limit` at the most; return how many.

    A record that has two letters, because its consumer ended between letter and commit, is published once.
    The letters stay where they are; the group `<graveyard>-replay` remembers which were replayed, so
    that the next replay goes on from there. All keep key, bytes and headers, and so their ids.
    """
    if not graveyard.endswith("-dlq"):
        message = f"{graveyard} is no dead-letter topic: those end in -dlq"
        raise Permanent(message)
    async with offsets(settings) as asked:
        ends = await asked.ends(graveyard)
    producer = Producer(settings, "replay")
    consumer = AIOKafkaConsumer(
        **client_options(settings, "replay"),
        group_id=f"{graveyard}-replay",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    consumer.assign([TopicPartition(graveyard, partition) for partition in ends])
    done = 0
    sent: dict[tuple[str | None, ...], None] = {}
    try:
        if not ends:
            return 0
        await consumer.start()
        while (limit is None or done < limit) and await _behind(consumer, graveyard, ends):
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
        message = f"Kafka went away after {done} letters: {error!r}; replay again"
        raise Transient(message) from error
    finally:
        await asyncio.gather(consumer.stop(), producer.stop())
    return done


async def _behind(consumer: AIOKafkaConsumer, topic: str, ends: dict[int, int]) -> bool:
    """Whether letters are left of those that were there at the beginning."""
    return any([await consumer.position(TopicPartition(topic, at)) < end for at, end in ends.items()])


async def _resend(producer: Producer, letter: ConsumerRecord[bytes, bytes]) -> None:
    topic = header(letter, "original_topic")
    if topic is None:
        message = f"offset {letter.offset} of {letter.topic} doesn't say which topic it came from"
        raise Permanent(message)
    record = Record(letter.key, letter.value, without_ours(letter.headers))
    await producer.deliver(topic, [record], DELIVER_SECONDS)
