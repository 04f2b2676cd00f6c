"""What every event carries, and how an event without an id gets one that repeats."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

# Namespace of the ids that Endcap derives: uuid5(NAMESPACE_URL, "https://endcap.dev/events").
EVENT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://endcap.dev/events")


def _storable(text: str) -> str:
    """Refuse what UTF-8 or Postgres can't hold, before it reaches either."""
    if "\x00" in text:
        message = "holds a NUL character, which can't be stored"
        raise ValueError(message)
    text.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Any text that can be stored."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_storable)]
"""An id or a short name: 1 to 256 characters."""


def _storable_json(document: dict[str, Any]) -> dict[str, Any]:
    try:
        text = orjson.dumps(document)
    except TypeError as error:  # a lone surrogate, nesting beyond 254 levels, a key that is no string
        message = f"can't be written as JSON: {error}"
        raise ValueError(message) from None
    if b"\\u0000" in text:
        message = "holds a NUL character, which can't be stored"
        raise ValueError(message)
    return document


Document = Annotated[dict[str, Any], AfterValidator(_storable_json)]
"""A JSON object of any shape that Postgres can store."""


class Event(BaseModel):
    """A fact of the past with one immutable id.

    Readers ignore fields that they don't know, so producers may move first. Within a version the only
    legal change is a new optional field.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    version: ClassVar[int] = 1

    event_id: Name
    tenant: Name
    occurred_at: AwareDatetime

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
