"""Events as records: CloudEvents 1.0 in the binary mode of the Kafka protocol binding.

The event's JSON is the value, and its attributes are headers. Records of another format, such as those of the
object store, have no such headers: their topic has one class, and only the value is decoded.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import orjson
from pydantic import BaseModel, ValidationError

from shared.errors import Permanent
from shared.events import Event
from shared.kafka.murmur2 import murmur2

if TYPE_CHECKING:
    from shared.events.topics import Topic

TYPE_PREFIX = "endcap."
MAX_RECORD_BYTES = 1_000_000

Headers = Iterable[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Record:
    """A record to write. Without a value it is a tombstone, which deletes the key's state."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The event that a handler of a compacted topic gets for a key whose state was deleted."""

    key: str

    @property
    def tenant(self) -> str:
        """Return the tenant, the first part of the key."""
        return self.key.partition(":")[0]


class Positioned(NamedTuple):
    """An event with the partition and offset of its record, for handlers that count records."""

    event: Any
    partition: int
    offset: int


class Received(Protocol):
    """A record that was read: aiokafka's `ConsumerRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


class Undecodable(Permanent):
    """The record can't be decoded."""

    def __init__(self, reason: str, message: str) -> None:
        """`reason` is for programs: not_json, invalid, no_type, unsupported_version or no_value."""
        super().__init__(message)
        self.reason = reason


@cache
def ce_type(event: type[BaseModel]) -> str:
    """Return the type of an event in the header ce_type: `endcap.<Class>.v<version>`."""
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
    """Return an event of the service `source` as a record."""
    kind = type(event)
    return Record(
        key=event.key.encode(),
        # The serializer of the class; model_dump_json calls it too, with more Python around it.
        value=kind.__pydantic_serializer__.to_json(event, exclude_none=True),
        headers=headers_of(kind, source, event.event_id, event.occurred_at, event.tenant, traceparent),
    )


def headers_of(
    kind: type[Event], source: str, event_id: str, occurred_at: datetime, tenant: str, traceparent: str
) -> tuple[tuple[str, bytes], ...]:
    """Return the headers of an event of the class `kind`."""
    return (
        *_fixed_headers(kind, source),
        ("ce_id", event_id.encode()),
        ("ce_time", occurred_at.isoformat().encode()),
        ("ce_tenantid", tenant.encode()),
        ("traceparent", traceparent.encode()),
    )


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key as Kafka's default partitioner does; cached, since murmur2 takes µs."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


class Decoder:
    """Decodes the records of one topic to its event classes."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._classes = {ce_type(event).encode(): event for event in topic.events}
        # A single class needs no ce_type: records of the object store and of people have none.
        self._only = topic.events[0] if len(topic.events) == 1 else None

    def decode(self, record: Received) -> BaseModel | Tombstone:
        """Return the event of a record; raises Undecodable for any failure, a validator's own included."""
        try:
            return self._decoded(record)
        except Undecodable:
            raise
        except Exception as error:
            raise Undecodable("invalid", f"a record of {self._topic.name}: {error!r}") from error

    def tenant(self, record: Received) -> str:
        """Return the tenant of a record, from its header or key; "" for a record of the object store."""
        if self._only is not None and not issubclass(self._only, Event):
            return ""
        named = header(record, "ce_tenantid")
        return (record.key or b"").partition(b":")[0].decode(errors="replace") if named is None else named

    def _decoded(self, record: Received) -> BaseModel | Tombstone:
        if record.value is None:
            if not self._topic.compacted or record.key is None:
                raise Undecodable("no_value", f"{self._topic.name} is not compacted and has no tombstones")
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
        event_class = self._classes.get(name)
        if event_class is None:
            if self._only is not None and not issubclass(self._only, Event):
                return self._only
            known = ", ".join(sorted(known.decode() for known in self._classes))
            text = name.decode(errors="replace")
            raise Undecodable("unsupported_version", f"ce_type {text!r} is none of: {known}")
        return event_class

    def _structured(self, value: bytes) -> BaseModel:
        """Return the event of a record in structured mode: a JSON object with the event as `data`."""
        try:
            envelope = orjson.loads(value)
            name, data = envelope["type"], orjson.dumps(envelope["data"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise Undecodable("not_json", f"not a structured CloudEvent: {error!r}") from error
        return _parsed(self._class_of(str(name).encode(errors="replace")), data)


def _parsed(kind: type[BaseModel], value: bytes) -> BaseModel:
    try:
        return cast("BaseModel", kind.__pydantic_validator__.validate_json(value))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        reason = "not_json" if problems[0]["type"] == "json_invalid" else "invalid"
        details = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the record'}: {problem['msg']}"
            for problem in problems[:5]
        )
        raise Undecodable(reason, f"{ce_type(kind)}: {details}") from error


def header(record: Received, name: str) -> str | None:
    """Return the last header `name` as text, with replacement characters for invalid UTF-8."""
    value = None
    for key, content in record.headers:
        if key == name:
            value = content
    return None if value is None else value.decode(errors="replace")


def check_sizes(topic: str, records: Sequence[Record]) -> None:
    """Raise Permanent for a record that is too large for Kafka, before any record is sent."""
    for record in records:
        size = len(record.value or b"") + len(record.key or b"")
        if size > MAX_RECORD_BYTES:
            key = (record.key or b"").decode(errors="replace")
            message = (
                f"the record of {key!r} for {topic} has {size} bytes; Kafka takes at most {MAX_RECORD_BYTES}"
            )
            raise Permanent(message)
