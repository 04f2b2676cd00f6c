"""What every event carries, and how an event without an id gets one that repeats."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import ClassVar

import orjson
from pydantic import BaseModel, ConfigDict

from shared.events.values import Document, Instant, Name, Tenant, Text

__all__ = ["EVENT_NAMESPACE", "Document", "Event", "Name", "Text", "derived_id"]

# Namespace of the ids that Endcap derives: uuid5(NAMESPACE_URL, "https://endcap.dev/events").
EVENT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://endcap.dev/events")


class Event(BaseModel):
    """A fact of the past with one immutable id.

    Readers ignore fields that they don't know, so producers may move first. Within a version the only
    legal change is a new optional field.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    version: ClassVar[int] = 1

    event_id: Name
    tenant: Tenant
    occurred_at: Instant

    @property
    def key(self) -> str:
        """Kafka key: what must stay in order stays on one partition. Starts with the tenant."""
        return self.tenant


def derived_id(*parts: str | int | datetime) -> str:
    """The same parts give the same id, so that a replay repeats it: uuid5 of their JSON array.

    `uuid.uuid5` gives the same at thrice the cost, by way of an object that nobody needs.
    """
    text = hashlib.sha1(EVENT_NAMESPACE.bytes + orjson.dumps(parts), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"
