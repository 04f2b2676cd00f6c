"""A wire format: a schema for the documentation, and a parser. The table is in `formats`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

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
