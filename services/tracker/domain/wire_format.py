"""A wire format: a schema for the documentation, and a parser. The tables are in `formats`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from services.tracker.domain.documents import parse_document
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import Outcome
from shared.events import InteractionRecorded


@dataclass(frozen=True, slots=True)
class EventFormat:
    """A format of the events in a request to `POST /v1/events`.

    `parse` may raise pydantic's ValidationError; the event is then rejected with its message.
    """

    schema: type[BaseModel]
    matches: Callable[[Mapping[str, Any]], bool]
    parse: Callable[[Mapping[str, Any], IngestContext], Outcome]


@dataclass(frozen=True, slots=True)
class RequestFormat:
    """A format with a route of its own, `POST path`; `source` is the label of its metrics.

    `parse` returns the interactions of a request that fits the schema.
    """

    path: str
    operation_id: str
    summary: str
    tag: str
    source: str
    schema: type[BaseModel]
    parse: Callable[[Any, IngestContext], list[InteractionRecorded]]


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request of a vendor's client: its path, query, headers (names in lower case) and unpacked body."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    body: bytes

    def document(self) -> Any:
        """Return the body as JSON. Raises InvalidJson for a body that is none."""
        return parse_document(self.body)


@dataclass(frozen=True, slots=True)
class Upload:
    """The records of a request, and the key that its body names, if any."""

    records: Sequence[Any]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ClientRoute:
    """A route that clients call by themselves; `source` is the label of its metrics.

    `read` returns the records of a request; it raises Permanent for a body without records. `parse` returns
    the outcome of a record; it may raise pydantic's ValidationError, which rejects that record alone.
    `key_parameters` are parameters of the query that may be the key; with `key_in_body` the body may name it.
    `reply` is the body of a success: JSON with `members` among it, a picture of one pixel, or nothing (204);
    or the messages of a validation, which records nothing. Without `records` the answer is `members` alone.
    """

    path: str
    operation_id: str
    summary: str
    tag: str
    source: str
    schema: type[BaseModel]
    read: Callable[[ClientRequest], Upload]
    parse: Callable[[Mapping[str, Any], IngestContext], Outcome]
    method: Literal["GET", "POST"] = "POST"
    key_parameters: tuple[str, ...] = ()
    key_in_body: bool = False
    reply: Literal["json", "pixel", "nothing", "validation"] = "json"
    members: Mapping[str, Any] | None = None
    records: bool = True
    is_alias: bool = False
    """True for another path of a documented route, which OpenAPI leaves out."""
