"""Attempts to connect to a node of Kafka: pauses after failures, none after a success."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.kafka import reconnects
from shared.kafka.reconnects import ReconnectPauses

NODE, OTHER = 1, 2


class Cluster:
    """A cluster that knows two nodes."""

    def broker_metadata(self, node_id: Any) -> object | None:
        return object() if node_id in {NODE, OTHER} else None


class Client:
    """A client of aiokafka, as far as its connections go."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self._conns: dict[Any, Any] = {}
        self.reachable = False
        self.attempts = 0

    async def _get_conn(self, node_id: Any, *, group: Any, no_hint: bool) -> object | None:  # noqa: ARG002
        await asyncio.sleep(0)
        self.attempts += 1
        return object() if self.reachable else None

    async def connect(self, node_id: Any) -> object | None:
        connection: object | None = await self._get_conn(node_id)  # type: ignore[call-arg] # replaced
        return connection


@pytest.fixture
def client() -> Client:
    client = Client()
    ReconnectPauses(client)
    return client


async def test_during_a_pause_there_is_no_attempt(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnects, "FIRST_SECONDS", 60.0)
    monkeypatch.setattr(reconnects, "MAX_SECONDS", 60.0)

    assert await client.connect(NODE) is None
    assert await asyncio.gather(*(client.connect(NODE) for _ in range(5))) == [None] * 5
    assert client.attempts == 1

    assert await client.connect(OTHER) is None
    assert client.attempts == 2


async def test_pauses_double_up_to_the_longest(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    for pause in (0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0):
        before = client.attempts
        await client.connect(NODE)
        assert client.attempts == before + 1
        now += pause * 0.79
        await client.connect(NODE)
        assert client.attempts == before + 1
        now += pause * 0.42


async def test_after_a_success_the_pauses_start_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnects, "FIRST_SECONDS", 0.0)
    for _ in range(5):
        assert await client.connect(NODE) is None
    client.reachable = True
    assert await client.connect(NODE) is not None
    assert await client.connect(NODE) is not None
    assert client.attempts == 7


async def test_a_node_that_no_metadata_names_is_not_counted_as_unreachable(client: Client) -> None:
    for _ in range(3):
        assert await client.connect("bootstrap") is None
    assert client.attempts == 3
