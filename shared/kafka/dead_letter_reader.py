"""Reads of dead letters: the newest ones of all dead-letter topics, or a single one."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final, Self

from aiokafka import TopicPartition

from shared.errors import Permanent
from shared.events import Event
from shared.events.topics import TOPICS, Topic
from shared.kafka.deadletters import HEADERS, ORIGINAL, without_ours
from shared.kafka.record_reader import BoundedReads, bounds, scan
from shared.kafka.records import Decoder, Record, header

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

    from shared.kafka.records import Received
    from shared.settings import KafkaSettings

PER_PARTITION: Final = 500
"""Letters of a partition that are looked at. Arbitrary."""
MAX_SCANNED_BYTES: Final = 64 * 2**20
"""Bytes of letters that one read may take from Kafka. Arbitrary."""

_ID = re.compile(r"(?P<topic>[a-z0-9-]{1,200}-dlq)\.(?P<partition>\d{1,5})\.(?P<offset>\d{1,18})")


@dataclass(frozen=True, slots=True)
class DeadLetterTopic:
    """A dead-letter topic: the topic of its records, and the service that could not handle them."""

    topic: Topic
    consumer: str


@cache
def dead_letter_topics() -> Mapping[str, DeadLetterTopic]:
    """Return the dead-letter topics of the registry, by name."""
    return {
        topic.dlq(consumer): DeadLetterTopic(topic, consumer)
        for topic in TOPICS
        for consumer in sorted(topic.consumers)
    }


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a record: a topic, a partition and an offset."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Return the place as the id of a letter."""
        return f"{self.topic}.{self.partition}.{self.offset}"

    @classmethod
    def of_id(cls, text: str) -> Self | None:
        """Return the place of a letter's id; None for a text that is none."""
        match = _ID.fullmatch(text)
        return None if match is None else cls(match["topic"], int(match["partition"]), int(match["offset"]))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter. `original` is the place of the record, `tenant` is empty if nothing names it."""

    place: Place
    original: Place | None
    consumer: str
    tenant: str
    timestamp: int
    record: Record
    reasons: Mapping[str, str | None]
    size: int

    @classmethod
    def of(cls, received: Received) -> Self:
        """Return the letter in a record of a dead-letter topic."""
        source = dead_letter_topics()[received.topic]
        topic, partition, offset = (header(received, name) for name in ORIGINAL)
        is_placed = topic is not None and _is_number(partition) and _is_number(offset)
        return cls(
            Place(received.topic, received.partition, received.offset),
            Place(topic or "", int(partition or 0), int(offset or 0)) if is_placed else None,
            source.consumer,
            Decoder(source.topic).tenant(received),
            received.timestamp,
            Record(received.key, received.value, without_ours(received.headers)),
            {name: header(received, name) for name in HEADERS},
            len(received.value or b""),
        )

    @property
    def is_whole(self) -> bool:
        """Return whether it has the record itself: of one that was too large, Kafka took the reason alone."""
        return self.record.value is not None or bool(self.record.headers)

    @property
    def topic(self) -> str:
        """Return the topic of the record."""
        return dead_letter_topics()[self.place.topic].topic.name

    def mended(self, value: bytes) -> Record:
        """Return the record with another value, under the key of the event in it.

        Raises Permanent unless the value is an event of the same topic, tenant and id: consumers that have
        handled the record know it by its id.
        """
        source = dead_letter_topics()[self.place.topic]
        event = Decoder(source.topic).decode(_Mended(self.place, self.timestamp, self.record, value))
        if not isinstance(event, Event) or event.tenant != self.tenant:
            message = f"the record must be an event of the tenant {self.tenant}"
            raise Permanent(message)
        if (event_id := self.ce("id")) and event.event_id != event_id:
            message = f"event_id must stay {event_id}, by which consumers know the record"
            raise Permanent(message)
        return replace(self.record, key=event.key.encode(), value=value)

    def ce(self, attribute: str) -> str:
        """Return an attribute of the event, such as `id`; empty if the record has none."""
        values = [content for name, content in self.record.headers if name == f"ce_{attribute}"]
        return (values[-1] or b"").decode(errors="replace") if values else ""


class _Mended:
    """A record of a letter with another value, as it is read from its topic."""

    def __init__(self, place: Place, timestamp: int, record: Record, value: bytes) -> None:
        self.topic, self.partition, self.offset = place.topic, place.partition, place.offset
        self.timestamp = timestamp
        self.key, self.headers = record.key, record.headers
        self.value: bytes | None = value


def _is_number(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit()


class DeadLetterReader(BoundedReads):
    """Reads dead letters. A part: it connects with its first read."""

    name = "dead-letter-reader"

    def __init__(self, settings: KafkaSettings, service: str) -> None:
        super().__init__(settings, f"{service}-dead-letter-reader", "dead-letter topics")

    async def newest(
        self,
        topics: Collection[str],
        is_wanted: Callable[[DeadLetter], bool],
        limit: int,
        *,
        within: float,
    ) -> tuple[list[DeadLetter], bool]:
        """Return up to `limit` wanted letters of dead-letter topics, newest first, and whether all were read.

        Not all are read if a partition has more than `PER_PARTITION` letters, or they are too large.
        Raise Transient as `bounded` does.
        """
        newest: list[tuple[int, str, DeadLetter]] = []
        is_complete, read_bytes = True, 0

        def visit(received: Received) -> bool:
            nonlocal is_complete, read_bytes
            letter = DeadLetter.of(received)
            read_bytes += letter.size
            if is_wanted(letter):
                heapq.heappush(newest, (letter.timestamp, str(letter.place), letter))
                if len(newest) > limit:
                    heapq.heappop(newest)
            is_complete = is_complete and read_bytes <= MAX_SCANNED_BYTES
            return read_bytes > MAX_SCANNED_BYTES

        async def read(consumer: AIOKafkaConsumer) -> None:
            nonlocal is_complete
            partitions = [
                TopicPartition(name, number)
                for name in topics
                for number in range(dead_letter_topics()[name].topic.partitions)
            ]
            begins, ends = await bounds(consumer, partitions)
            is_complete = all(ends[at] - begins[at] <= PER_PARTITION for at in partitions)
            first = {
                at: max(begins[at], ends[at] - PER_PARTITION) for at in partitions if ends[at] > begins[at]
            }
            await scan(consumer, first, visit)

        await self.bounded(read, within)
        return [letter for _, _, letter in sorted(newest, reverse=True)], is_complete

    async def find(self, place: Place, *, within: float) -> DeadLetter | None:
        """Return the letter at a place; None if there is none. Raise Transient as `bounded` does."""
        letters: list[DeadLetter] = []
        source = dead_letter_topics().get(place.topic)
        if source is None or place.partition >= source.topic.partitions:
            return None
        at = TopicPartition(place.topic, place.partition)

        def visit(received: Received) -> bool:
            if received.offset == place.offset:
                letters.append(DeadLetter.of(received))
            return True

        async def read(consumer: AIOKafkaConsumer) -> None:
            begins, ends = await bounds(consumer, [at])
            if begins[at] <= place.offset < ends[at]:
                await scan(consumer, {at: place.offset}, visit)

        await self.bounded(read, within)
        return letters[0] if letters else None
