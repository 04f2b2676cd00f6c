"""The JSON Schemas of the events.

python -m shared.events        write them all (`make contracts`)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson

from shared.events.envelope import Event
from shared.events.topics import TOPICS

SCHEMAS = Path(__file__).with_name("schemas")
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def event_classes() -> tuple[type[Event], ...]:
    """Return every event class of Endcap; notifications of the object store have a schema of their own."""
    return tuple(
        cls for topic in TOPICS for cls in topic.events if isinstance(cls, type) and issubclass(cls, Event)
    )


def file_stem(event: type[Event]) -> str:
    """Return the name of a schema file: `order_placed.v1` for `OrderPlaced`."""
    return f"{_WORD.sub('_', event.__name__).lower()}.v{event.version}"


def schemas() -> dict[Path, bytes]:
    """Return the JSON Schema of every event by its file."""
    return {
        SCHEMAS / f"{file_stem(event)}.json": _json(event.model_json_schema()) for event in event_classes()
    }


def _json(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
