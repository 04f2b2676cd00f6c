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
    """Every event of ours; what the object store publishes is its own business."""
    return tuple(
        cls for topic in TOPICS for cls in topic.events if isinstance(cls, type) and issubclass(cls, Event)
    )


def file_stem(event: type[Event]) -> str:
    """`OrderPlaced` → `order_placed.v1`."""
    return f"{_WORD.sub('_', event.__name__).lower()}.v{event.version}"


def schemas() -> dict[Path, bytes]:
    """The JSON Schema of every event, by the file that holds it."""
    return {
        SCHEMAS / f"{file_stem(event)}.json": _json(event.model_json_schema()) for event in event_classes()
    }


def _json(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
