"""The base class of events, and ids that are derived from the facts of an event."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import ClassVar

import orjson
from pydantic import BaseModel, ConfigDict

from shared.events.values import Document, Instant, Name, Tenant, Text

__all__ = ["EVENT_NAMESPACE", "Document", "Event", "Name", "Text", "derived_id"]

EVENT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://endcap.dev/events")
"""The namespace (RFC 9562, section 6.6) of the ids that Endcap derives."""


class Event(BaseModel):
    """A fact with one immutable id.

    Readers ignore unknown fields, so producers may be updated first. Within a version the only allowed
    change is a new optional field.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    version: ClassVar[int] = 1

    event_id: Name
    tenant: Tenant
    occurred_at: Instant

    @property
    def key(self) -> str:
        """Return the Kafka key, which starts with the tenant: events with one key stay in order."""
        return self.tenant


def derived_id(*parts: str | int | datetime) -> str:
    """Return the UUIDv5 (RFC 9562) of the JSON array of `parts`: a replay derives the same id.

    `uuid.uuid5` returns the same at three times the cost, because it builds a UUID object.
    """
    text = hashlib.sha1(EVENT_NAMESPACE.bytes + orjson.dumps(parts), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"
