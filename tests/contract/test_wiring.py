"""What services agree on: the registry of topics and their processes, the router and the recommender."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from shared.events.topics import TOPICS, Topic
from shared.kafka import Consumer, Publisher, StateTable
from tests.contract.documents import SERVICES

PROCESSES = ("build", "worker", "relay")


class Wiring:
    """What the processes of one service were wired to while they were built."""

    def __init__(self) -> None:
        self.published: set[str] = set()
        self.consumed: dict[str, set[str]] = {}
        self.read_whole: set[str] = set()


@pytest.fixture
def wiring(monkeypatch: pytest.MonkeyPatch) -> Wiring:
    seen = Wiring()
    publish, subscribe, table = Publisher.__init__, Consumer.subscribe, StateTable.__init__

    def publisher(self: Publisher, settings: Any, service: str, topics: Any, **options: Any) -> None:
        seen.published |= {topic.name for topic in topics}
        publish(self, settings, service, topics, **options)

    def subscribed(self: Consumer, topic: Topic, handler: Any, **options: Any) -> None:
        seen.consumed.setdefault(topic.name, set()).add(options.get("purpose") or "")
        subscribe(self, topic, handler, **options)

    def read(self: StateTable[Any], settings: Any, topic: Topic, *rest: Any, **options: Any) -> None:
        seen.read_whole.add(topic.name)
        table(self, settings, topic, *rest, **options)

    monkeypatch.setattr(Publisher, "__init__", publisher)
    monkeypatch.setattr(Consumer, "subscribe", subscribed)
    monkeypatch.setattr(StateTable, "__init__", read)
    return seen


@pytest.mark.parametrize("service", SERVICES)
def test_the_registry_says_what_a_service_does(service: str, wiring: Wiring) -> None:
    app = import_module(f"services.{service}.app")
    settings = import_module(f"services.{service}.settings").Settings()

    for process in PROCESSES:
        if hasattr(app, process):
            getattr(app, process)(settings)

    assert wiring.published == {topic.name for topic in TOPICS if service in topic.producers}
    assert set(wiring.consumed) == {topic.name for topic in TOPICS if service in topic.consumers}
    assert wiring.read_whole == {topic.name for topic in TOPICS if service in topic.readers}


def test_the_router_reserves_the_words_that_the_recommender_does() -> None:
    """A word that one of them took for an id of a user would get a variant, or an answer, by itself."""
    words = [
        import_module("services.router.domain.surfaces").RESERVED,
        import_module("services.recommender.api.rest").RESERVED,
    ]

    assert words[0] == words[1]
