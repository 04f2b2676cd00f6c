"""Events as records: CloudEvents 1.0 in the binary mode of its Kafka binding.

The event's JSON is the value; its attributes are headers. A record of a foreign format, such as the
object store's, has no such headers: its topic holds one class, and the value alone is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol, cast

import orjson
from aiokafka.partitioner import murmur2
from pydantic import BaseModel, ValidationError

from shared.errors import Permanent
from shared.events import Event

if TYPE_CHECKING:
    from shared.events.topics import Topic

TYPE_PREFIX = "endcap."
MAX_RECORD_BYTES = 1_000_000

Headers = Iterable[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Record:
    """What is written to a topic. No value means a tombstone: the key's state is gone."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What a handler of a compacted topic gets where a key's state is gone."""

    key: str

    @property
    def tenant(self) -> str:
        """The key's first part."""
        return self.key.partition(":")[0]


class Received(Protocol):
    """A record as it was read; aiokafka's `ConsumerRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


class Undecodable(Permanent):
    """The record can't be read; `reason` is one word for machines."""

    def __init__(self, reason: str, message: str) -> None:
        """`reason` is not_json, invalid, no_type, unsupported_version or no_value."""
        super().__init__(message)
        self.reason = reason


@cache
def ce_type(event: type[BaseModel]) -> str:
    """Name a class on the wire: `endcap.<Class>.v<version>`."""
    return f"{TYPE_PREFIX}{event.__name__}.v{getattr(event, 'version', 1)}"


@cache
def _fixed_headers(event: type[BaseModel], source: str) -> tuple[tuple[str, bytes], ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/json"),
        ("ce_type", ce_type(event).encode()),
        ("ce_source", f"/endcap/{source}".encode()),
    )


def encoded(event: Event, source: str, traceparent: str) -> Record:
    """Write an event of service `source` as a record."""
    kind = type(event)
    return Record(
        key=event.key.encode(),
        # The class's own serializer: model_dump_json only adds a layer of Python to it.
        value=kind.__pydantic_serializer__.to_json(event, exclude_none=True),
        headers=(
            *_fixed_headers(kind, source),
            ("ce_id", event.event_id.encode()),
            ("ce_time", event.occurred_at.isoformat().encode()),
            ("ce_tenantid", event.tenant.encode()),
            ("traceparent", traceparent.encode()),
        ),
    )


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """What Kafka's default partitioner gives; remembered, since murmur2 in Python takes some microseconds."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions


class Decoder:
    """Reads the records of one topic as its classes."""

    def __init__(self, topic: Topic) -> None:
        """Learn the topic's classes by their names on the wire."""
        self._topic = topic
        self._classes = {ce_type(event).encode(): event for event in topic.events}
        # One class needs no name: foreign records have none, nor have those that people write by hand.
        self._only = topic.events[0] if len(topic.events) == 1 else None

    def decode(self, record: Received) -> BaseModel | Tombstone:
        """Read one record, or raise `Undecodable`: a validator's own failure is the record's, too."""
        try:
            return self._decoded(record)
        except Undecodable:
            raise
        except Exception as error:
            raise Undecodable("invalid", f"a record of {self._topic.name}: {error!r}") from error

    def tenant(self, record: Received) -> str:
        """Return whose record it is, as its producer says; "" for a foreign record."""
        if self._only is not None and not issubclass(self._only, Event):
            return ""
        named = header(record, "ce_tenantid")
        return (record.key or b"").partition(b":")[0].decode(errors="replace") if named is None else named

    def _decoded(self, record: Received) -> BaseModel | Tombstone:
        if record.value is None:
            if not self._topic.compacted or record.key is None:
                raise Undecodable("no_value", f"{self._topic.name} holds facts, not states to delete")
            return Tombstone(record.key.decode(errors="replace"))
        name = content_type = None
        for header, content in record.headers:
            if header == "ce_type":
                name = content
            elif header == "content-type":
                content_type = content
        if content_type is not None and content_type.startswith(b"application/cloudevents"):
            return self._structured(record.value)
        return _parsed(self._class_of(name), record.value)

    def _class_of(self, name: bytes | None) -> type[BaseModel]:
        if name is None:
            if self._only is None:
                raise Undecodable("no_type", "the record has no ce_type header")
            return self._only
        found = self._classes.get(name)
        if found is None:
            if self._only is not None and not issubclass(self._only, Event):
                return self._only
            known = ", ".join(sorted(known.decode() for known in self._classes))
            text = name.decode(errors="replace")
            raise Undecodable("unsupported_version", f"ce_type {text!r} is none of: {known}")
        return found

    def _structured(self, value: bytes) -> BaseModel:
        """The structured mode: one JSON object with the attributes and the event as `data`."""
        try:
            envelope = orjson.loads(value)
            name, data = envelope["type"], orjson.dumps(envelope["data"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise Undecodable("not_json", f"no structured CloudEvent: {error!r}") from error
        return _parsed(self._class_of(str(name).encode(errors="replace")), data)


def _parsed(kind: type[BaseModel], value: bytes) -> BaseModel:
    try:
        return cast("BaseModel", kind.__pydantic_validator__.validate_json(value))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        reason = "not_json" if problems[0]["type"] == "json_invalid" else "invalid"
        what = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the record'}: {problem['msg']}"
            for problem in problems[:5]
        )
        raise Undecodable(reason, f"{ce_type(kind)}: {what}") from error


def header(record: Received, name: str) -> str | None:
    """Read the last header called `name` as text, whatever bytes it holds."""
    found = None
    for key, content in record.headers:
        if key == name:
            found = content
    return None if found is None else found.decode(errors="replace")


def check_sizes(topic: str, records: Sequence[Record]) -> None:
    """Raise Permanent for a record that Kafka would not take, before any of its batch is sent."""
    for record in records:
        size = len(record.value or b"") + len(record.key or b"")
        if size > MAX_RECORD_BYTES:
            key = (record.key or b"").decode(errors="replace")
            message = (
                f"the record of {key!r} for {topic} has {size} bytes; "
                f"Kafka takes {MAX_RECORD_BYTES} at the most"
            )
            raise Permanent(message)
