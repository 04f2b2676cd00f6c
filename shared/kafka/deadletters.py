"""Where records go that a consumer can't handle: never lost, never in the way of the next.

A dead letter is the record's own key, bytes and headers, and what happened to it in further headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.kafka.records import Record
from shared.observability import counter

if TYPE_CHECKING:
    from shared.kafka.records import Received

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

MAX_REASON_CHARACTERS = 2_000

BURIED = counter(
    "endcap_kafka_dead_letters_total",
    "Records that were put into a dead-letter topic.",
    ["topic", "group", "reason"],
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record can't be handled: a word for machines, a sentence for people."""

    kind: str
    reason: str
    attempts: int
    refused: bool = False
    """Whether the handler said so itself (`Permanent`), which makes neither reader nor writer defective."""


def dead_letter(record: Received, failure: Failure, group: str) -> Record:
    """Make the record that goes to the dead-letter topic."""
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
    return Record(
        key=record.key,
        value=record.value,
        headers=(
            *without_ours(record.headers),
            *zip(HEADERS, (text.encode() for text in added), strict=True),
        ),
    )


def without_ours(
    headers: Sequence[tuple[str, bytes | None]],
) -> tuple[tuple[str, bytes | None], ...]:
    """Return the headers that the record had before it was a dead letter."""
    return tuple((name, content) for name, content in headers if name not in HEADERS)
