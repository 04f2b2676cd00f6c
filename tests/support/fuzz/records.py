"""Kafka records of every topic with one or two changes, from the examples of the contracts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pydantic import BaseModel

from shared.events import Event
from shared.events.documents import SCHEMAS, file_stem
from shared.events.topics import TOPICS, Topic
from shared.kafka.records import ce_type
from tests.support.fuzz import hostile, hostile_http
from tests.support.fuzz.documents import Raw, json_bytes
from tests.support.fuzz.mutations import changed_document

_EXAMPLES = SCHEMAS.with_name("examples")
_VALID_SHARE = 0.05
_TWO_CHANGES_SHARE = 0.2
_NOTICE: Mapping[str, Any] = {
    "EventName": "s3:ObjectCreated:Put",
    "Records": [
        {
            "eventName": "s3:ObjectCreated:Put",
            "eventTime": "2026-01-01T00:00:00Z",
            "s3": {
                "bucket": {"name": "endcap-uploads"},
                "object": {"key": "default/orders/a.csv", "size": 10, "eTag": "a"},
            },
        }
    ],
}
_HEADERS: tuple[tuple[str, bytes | None], ...] = (
    ("ce_type", None),
    ("ce_type", b""),
    ("ce_type", b"\xff\xfe"),
    ("ce_type", b"endcap.InteractionRecorded.v999"),
    ("ce_type", b"endcap.OrderPlaced.v1"),
    ("ce_type", hostile.LONG_TEXT.encode()),
    ("content-type", None),
    ("content-type", b"\xff"),
    ("content-type", b"application/cloudevents"),
    ("content-type", b"application/cloudevents+json; charset=UTF-8"),
    ("content-type", b"application/cloudevents-batch+json"),
    ("traceparent", b"\xff" * 60),
    ("ce_time", b"never"),
    ("\x00", b"\x00"),
)
_KEYS: tuple[bytes | None, ...] = (None, b"", b"\xff\xfe", b":", b"default", hostile.LONG_TEXT.encode())
_VALUES: tuple[bytes | None, ...] = (None, *hostile_http.BODIES)


@dataclass(frozen=True)
class FuzzedRecord:
    """A record, and the changes to the valid record that it was."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    changes: tuple[str, ...] = ()
    partition: int = 0
    offset: int = 0

    def described(self) -> str:
        """Return the record as text for people; long parts are cut."""
        value = repr(self.value)
        shown = value if len(value) <= 900 else f"{value[:600]} … {value[-200:]} ({len(value)} characters)"
        return f"{self.topic} [{', '.join(self.changes) or 'valid'}] {self.key!r} {self.headers!r}\n{shown}"


def contracts() -> list[tuple[Topic, type[BaseModel]]]:
    """Return every event class of every topic."""
    return [(topic, event) for topic in TOPICS for event in topic.events]


def records(topic: Topic, event: type[BaseModel], random: Random) -> Iterator[FuzzedRecord]:
    """Yield records of a class without end."""
    examples = _examples(event)
    while True:
        yield _fuzzed(topic, event, random.choice(examples), random)


def _examples(event: type[BaseModel]) -> list[Any]:
    if not issubclass(event, Event):
        return [dict(_NOTICE)]
    return [json.loads(path.read_text()) for path in sorted((_EXAMPLES / file_stem(event)).glob("*.json"))]


def _fuzzed(topic: Topic, event: type[BaseModel], document: Any, random: Random) -> FuzzedRecord:
    name = ce_type(event).encode()
    headers: list[tuple[str, bytes | None]] = [("ce_type", name), ("content-type", b"application/json")]
    changes: list[str] = []
    if random.random() < 0.15:
        headers[1] = ("content-type", b"application/cloudevents+json")
        document = {"specversion": "1.0", "type": name.decode(), "id": "a", "data": document}
        changes.append("structured")
    record = FuzzedRecord(topic.name, b"default:a", None, headers, tuple(changes))
    if random.random() < _VALID_SHARE:
        return replace(record, value=json_bytes(document))
    for _ in range(2 if random.random() < _TWO_CHANGES_SHARE else 1):
        drawn = random.random()
        if drawn < 0.8 and not isinstance(document, Raw):
            document, change = changed_document(document, random)
        elif drawn < 0.95:
            headers, change = _other_headers(headers, random), "headers"
        else:
            record, change = replace(record, key=random.choice(_KEYS)), "key"
        changes.append(change)
    value: bytes | None = json_bytes(document)
    if random.random() < 0.1:
        value = random.choice([*_VALUES, value and value[: random.randrange(len(value))]])
        changes.append("value")
    return replace(record, value=value, headers=headers, changes=tuple(changes))


def _other_headers(
    headers: Sequence[tuple[str, bytes | None]], random: Random
) -> list[tuple[str, bytes | None]]:
    name, content = random.choice(_HEADERS)
    kept = [header for header in headers if header[0] != name or random.random() < 0.3]
    return [*kept, *([] if random.random() < 0.15 else [(name, content)])]
