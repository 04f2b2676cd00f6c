"""The contracts as documents: a JSON Schema per event, an AsyncAPI 3 page per service.

python -m shared.events        write them all (`make contracts`)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from shared.events.envelope import Event
from shared.events.topics import TOPICS, Topic

SCHEMAS = Path(__file__).with_name("schemas")
ASYNCAPI = Path("docs/asyncapi")
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


def asyncapi() -> dict[Path, bytes]:
    """An AsyncAPI 3.0 page for every service that publishes or consumes."""
    services = sorted(set().union(*(topic.producers | topic.consumers | topic.readers for topic in TOPICS)))
    return {ASYNCAPI / f"{service}.json": _json(_page(service)) for service in services}


def _page(service: str) -> dict[str, Any]:
    sends = [topic for topic in TOPICS if service in topic.producers]
    receives = [topic for topic in TOPICS if service in topic.consumers | topic.readers]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Endcap {service}", "version": "1"},
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS if topic in sends + receives},
        "operations": {
            f"{action}-{topic.name}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic.name}"},
            }
            for action, topics in (("send", sends), ("receive", receives))
            for topic in topics
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    kept = "compacted" if topic.retention is None else f"kept {topic.retention.days} days"
    return {
        "address": topic.name,
        "description": f"key: {topic.key}; {topic.partitions} partitions; {kept}",
        "messages": {cls.__name__: _message(cls) for cls in topic.events},
    }


def _message(cls: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": cls.__name__,
        "summary": (cls.__doc__ or "").strip().partition("\n")[0],
        "payload": cls.model_json_schema(),
    }


def _json(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
