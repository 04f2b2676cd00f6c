"""Where records go that a consumer can't handle: never lost, never in the way of the next.

A dead letter is the record's own key, bytes and headers, and what happened to it in further headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import structlog

from shared.errors import Permanent, Transient
from shared.kafka.activity import Activity, Ending, pauses
from shared.kafka.records import Record
from shared.observability import counter

if TYPE_CHECKING:
    import asyncio

    from shared.kafka.producer import Producer
    from shared.kafka.records import Received

Message = TypeVar("Message", bound="Received")

DELIVER_SECONDS = 5.0

HEADERS = (
    "dlq-reason",
    "dlq-error-class",
    "dlq-group",
    "dlq-attempts",
    "dlq-failed-at",
    "original_topic",
    "original_partition",
    "original_offset",
)
"""What is added to a dead letter, and taken off again when it is replayed."""

ORIGINAL = HEADERS[-3:]
"""Which record it was."""

MAX_REASON_CHARACTERS = 2_000
MAX_REMEMBERED = 10_000
"""Dead letters whose offsets are not committed yet: a poll has hundreds or a few thousand records."""

BURIED = counter(
    "endcap_kafka_dead_letters_total",
    "Records that were put into a dead-letter topic.",
    ["topic", "group", "reason"],
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record can't be handled: a word for machines, a sentence for people."""

    kind: str
    reason: str
    attempts: int
    refused: bool = False
    """Whether the handler or its database understood the record and refused it (`Cause.REFUSED`)."""

    @property
    def is_a_defect(self) -> bool:
        """Whether it counts toward the halt; neither a refusal nor a later version of an event does."""
        return not self.refused and self.kind != "unsupported_version"


class DeadLetters:
    """The dead-letter topic of one subscription.

    It remembers which records went there before their offsets were committed: Kafka sends them again after a
    rebalance or through another consumer, and they need no second letter.
    """

    def __init__(
        self, producer: Producer, dlq_topic: str, activity: Activity, topic: str, group: str
    ) -> None:
        self.topic = dlq_topic
        self._producer = producer
        self._activity = activity
        self._names = {"topic": topic, "group": group}
        self._places: dict[tuple[int, int, int], None] = {}

    async def put(self, record: Received, failure: Failure, ending: asyncio.Event) -> None:
        """Deliver a record, however long Kafka takes for it; Ending when it has not and that is set."""
        for letter in dead_letters(record, failure, self._names["group"]):
            if await self._deliver(letter, ending):
                break
        self._places[_place(record)] = None
        if len(self._places) > MAX_REMEMBERED:
            del self._places[next(iter(self._places))]
        BURIED.labels(self._names["topic"], self._names["group"], failure.kind).inc()
        log.error(
            "kafka.dead_letter",
            **self._names,
            partition=record.partition,
            offset=record.offset,
            kind=failure.kind,
            reason=failure.reason,
        )

    def among(self, records: Sequence[Message]) -> list[Message]:
        """Return those that went to the dead-letter topic, and whose offsets were not committed since."""
        return [record for record in records if _place(record) in self._places] if self._places else []

    def forget_before(self, positions: Mapping[int, int]) -> None:
        """Forget what lies before the committed offsets (partition → offset), which never comes again."""
        if self._places:
            self._places = dict.fromkeys(
                place for place in self._places if place[1] >= positions.get(place[0], 0)
            )

    async def _deliver(self, letter: Record, ending: asyncio.Event) -> bool:
        """Deliver a letter; False when it is too large for Kafka."""
        for seconds in pauses():
            if ending.is_set():
                break
            try:
                await self._producer.deliver(self.topic, [letter], DELIVER_SECONDS)
            except Transient as error:
                log.warning("kafka.dead_letter_waits", **self._names, error=str(error))
                self._activity.waits(f"Kafka took no dead letter, {error}")
            except Permanent:
                return False
            else:
                self._activity.worked()
                return True
            await self._activity.pause(seconds, ending)
        raise Ending


def _place(record: Received) -> tuple[int, int, int]:
    """With the timestamp: the offsets of a topic that was made anew begin at 0 again."""
    return record.partition, record.offset, record.timestamp


def dead_letters(record: Received, failure: Failure, group: str) -> Iterator[Record]:
    """Yield the record for the dead-letter topic, then smaller ones in case that it is too large for Kafka.

    Somebody with other limits wrote it then. The last letter still says where the record lies.
    """
    added = (
        failure.reason[:MAX_REASON_CHARACTERS],
        failure.kind,
        group,
        str(failure.attempts),
        datetime.now(UTC).isoformat(),
        record.topic,
        str(record.partition),
        str(record.offset),
    )
    # Reasons quote records, which may hold what is no Unicode.
    ours = tuple(zip(HEADERS, (text.encode(errors="backslashreplace") for text in added), strict=True))
    yield Record(record.key, record.value, (*without_ours(record.headers), *ours))
    yield Record(record.key, None, ours)
    yield Record(None, None, ours)


def without_ours(
    headers: Sequence[tuple[str, bytes | None]],
) -> tuple[tuple[str, bytes | None], ...]:
    """Return the headers that the record had before it was a dead letter."""
    return tuple((name, content) for name, content in headers if name not in HEADERS)
