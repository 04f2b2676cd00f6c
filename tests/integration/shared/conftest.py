"""Kafka and HTTP for the tests of shared: brokers, checks for tasks left behind, quick limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from shared.http import connections
from shared.settings import KafkaSettings
from tests.integration.shared.kafka_watchdogs import Clock
from tests.support.kafka import Broker, own_broker


@pytest.fixture(scope="session")
def kafka(kafka_settings: KafkaSettings) -> KafkaSettings:
    """Settings of the broker that all tests share."""
    return kafka_settings


@pytest.fixture(scope="package")
def _own_broker() -> Iterator[Broker]:
    # It ends with the tests of this folder: an idle broker takes 3 % of a core.
    with own_broker() as broker:
        yield broker


@pytest.fixture
async def broker(_own_broker: Broker) -> Broker:
    """A broker that may be killed; it runs when a test begins."""
    await _own_broker.until_ready()
    return _own_broker


@pytest.fixture
async def no_kafka_task_is_left() -> AsyncIterator[None]:
    """Assert that every client that a test made is gone after it, whatever happened to the broker."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before
    assert not [task for task in left if "aiokafka" in str(task.get_stack(limit=1))]


@pytest.fixture
def quick_connection_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the limits of connections every 0.05 s, and drain a refused request for 0.2 s."""
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(connections, "DRAIN_SECONDS", 0.2)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why the process of a consumer would have ended."""
    reasons: list[str] = []
    monkeypatch.setattr("shared.kafka.consumer._end_process", reasons.append)
    return reasons


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the consumers, whose watchdogs look every 0.5 s."""
    clock = Clock()
    for module in ("activity", "adapter", "session", "watchdog"):
        monkeypatch.setattr(f"shared.kafka.{module}.monotonic", clock)
    monkeypatch.setattr("shared.kafka.watchdog.LOOK_SECONDS", 0.5)
    return clock
