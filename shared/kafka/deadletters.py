"""Dead letters: records that a consumer can't handle are kept in a topic and don't block the next ones.

A dead letter has the record's own key, value and headers, and further headers with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import structlog

from shared.errors import Permanent, Transient
from shared.kafka.activity import Activity, ConsumerEnding, pauses
from shared.kafka.records import Record
from shared.observability import counter

if TYPE_CHECKING:
    import asyncio

    from shared.kafka.producer import Producer
    from shared.kafka.records import Received

Message = TypeVar("Message", bound="Received")

DELIVER_SECONDS = 5.0
"""Time that Kafka may take to confirm a letter before the next attempt; arbitrary."""

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
"""Headers that are added to a dead letter, and removed when it is replayed."""

ORIGINAL = HEADERS[-3:]
"""The headers that identify the record."""

MAX_REASON_CHARACTERS = 2_000
"""Characters of the reason in a header; arbitrary."""

MAX_REMEMBERED = 10_000
"""Dead letters before their offsets are committed: a poll has at most a few thousand records."""

DEAD_LETTERED = counter(
    "endcap_kafka_dead_letters_total",
    "Records that were written to a dead-letter topic.",
    ["topic", "group", "reason"],
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a record can't be handled: `kind` for programs, `reason` for people."""

    kind: str
    reason: str
    attempts: int
    refused: bool = False
    """True if the handler or its database understood the record and refused it (REFUSED or DISPUTED)."""

    @property
    def is_a_defect(self) -> bool:
        """Return whether it counts toward a halt; a refusal and a later version of an event don't."""
        return not self.refused and self.kind != "unsupported_version"


class DeadLetters:
    """The dead-letter topic of one subscription.

    It remembers the records that it has until their offsets are committed: Kafka sends them again after a
    rebalance or to another consumer, and they need no second letter.
    """

    def __init__(
        self, producer: Producer, dlq_topic: str, activity: Activity, topic: str, group: str
    ) -> None:
        self.topic = dlq_topic
        self._producer = producer
        self._activity = activity
        self._names = {"topic": topic, "group": group}
        self._remembered: dict[tuple[int, int, int], None] = {}

    async def put(self, record: Received, failure: Failure, ending: asyncio.Event) -> None:
        """Write a record, however long Kafka takes; raises ConsumerEnding once `ending` is set."""
        for letter in dead_letters(record, failure, self._names["group"]):
            if await self._deliver(letter, ending):
                break
        self._remembered[_identity(record)] = None
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        DEAD_LETTERED.labels(self._names["topic"], self._names["group"], failure.kind).inc()
        log.error(
            "kafka.dead_letter",
            **self._names,
            partition=record.partition,
            offset=record.offset,
            kind=failure.kind,
            reason=failure.reason,
        )

    def among(self, records: Sequence[Message]) -> list[Message]:
        """Return those of the records that are dead letters whose offsets are not committed yet."""
        if not self._remembered:
            return []
        return [record for record in records if _identity(record) in self._remembered]

    def forget_before(self, positions: Mapping[int, int]) -> None:
        """Forget the records before the committed offsets (partition → offset), which won't come again."""
        if self._remembered:
            self._remembered = dict.fromkeys(
                identity for identity in self._remembered if identity[1] >= positions.get(identity[0], 0)
            )

    async def _deliver(self, letter: Record, ending: asyncio.Event) -> bool:
        """Write a letter; return False if it is too large for Kafka."""
        for seconds in pauses():
            if ending.is_set():
                break
            try:
                await self._producer.deliver(self.topic, [letter], DELIVER_SECONDS)
            except Transient as error:
                log.warning("kafka.dead_letter_waits", **self._names, error=str(error))
                self._activity.waits(f"Kafka did not confirm a dead letter, {error}")
            except Permanent:
                return False
            else:
                self._activity.worked()
                return True
            await self._activity.pause(seconds, ending)
        raise ConsumerEnding


def _identity(record: Received) -> tuple[int, int, int]:
    """Return (partition, offset, timestamp); the offsets of a topic that was created again start at 0."""
    return record.partition, record.offset, record.timestamp


def dead_letters(record: Received, failure: Failure, group: str) -> Iterator[Record]:
    """Yield the dead letter of a record, then smaller ones for the case that it is too large for Kafka.

    The second one has no value, the last one no key either; both name the record in their headers.
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
    # Reasons quote records, which may hold invalid Unicode.
    ours = tuple(zip(HEADERS, (text.encode(errors="backslashreplace") for text in added), strict=True))
    yield Record(record.key, record.value, (*without_ours(record.headers), *ours))
    yield Record(record.key, None, ours)
    yield Record(None, None, ours)


def without_ours(
    headers: Sequence[tuple[str, bytes | None]],
) -> tuple[tuple[str, bytes | None], ...]:
    """Return the headers that the record had before it was a dead letter."""
    return tuple((name, content) for name, content in headers if name not in HEADERS)
