"""What the processes of a service publish, consume and read, from the parts that they build."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any
from unittest.mock import patch

from faststream.specification import AsyncAPI

from shared.events.topics import Topic
from shared.kafka import Consumer, Publisher, RecordReader, StateTable
from shared.kafka.session import Session
from shared.kafka.wiring import declared_publishers

PROCESSES = ("build", "worker", "relay")


@dataclass
class Wiring:
    """The Kafka parts of all processes of one service."""

    published: set[Topic] = field(default_factory=set)
    consumed: set[Topic] = field(default_factory=set)
    read_whole: set[Topic] = field(default_factory=set)
    looked_up: set[Topic] = field(default_factory=set)
    sessions: list[Session] = field(default_factory=list)

    def asyncapi(self, title: str) -> dict[str, Any]:
        """Return the AsyncAPI 3 document that FastStream generates from the declared wiring."""
        brokers = [session.declared() for session in self.sessions] + [declared_publishers(self.published)]
        document: dict[str, Any] = (
            AsyncAPI(*brokers, title=title, version="1").to_specification().to_jsonable()
        )
        return document


@cache
def wiring_of(service: str) -> Wiring:
    """Build every process of a service, without starting it; nothing connects."""
    wiring = Wiring()
    publish, subscribe, table = Publisher.__init__, Consumer.subscribe, StateTable.__init__
    look_up = RecordReader.__init__

    def publisher(self: Publisher, settings: Any, name: str, topics: Any, **options: Any) -> None:
        wiring.published |= set(topics)
        publish(self, settings, name, topics, **options)

    def subscribed(self: Consumer, topic: Topic, handler: Any, **options: Any) -> None:
        wiring.consumed.add(topic)
        subscribe(self, topic, handler, **options)
        wiring.sessions.append(self.subscriptions[-1].session)

    def read(self: StateTable[Any], settings: Any, topic: Topic, *rest: Any, **options: Any) -> None:
        wiring.read_whole.add(topic)
        table(self, settings, topic, *rest, **options)
        wiring.sessions.append(self._session)

    def reader(self: RecordReader, settings: Any, name: str, topic: Topic) -> None:
        wiring.looked_up.add(topic)
        look_up(self, settings, name, topic)

    app = import_module(f"services.{service}.app")
    settings = import_module(f"services.{service}.settings").Settings()
    with (
        patch.object(Publisher, "__init__", publisher),
        patch.object(Consumer, "subscribe", subscribed),
        patch.object(StateTable, "__init__", read),
        patch.object(RecordReader, "__init__", reader),
    ):
        for process in PROCESSES:
            if hasattr(app, process):
                getattr(app, process)(settings)
    return wiring
