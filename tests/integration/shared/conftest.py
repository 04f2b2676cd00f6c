"""Kafka for the tests of shared: one broker for all, and one that a test may kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.settings import KafkaSettings
from tests.support.kafka import Broker, own_broker


@pytest.fixture(scope="session")
def kafka(kafka_settings: KafkaSettings) -> KafkaSettings:
    """Settings of the broker that all tests share."""
    return kafka_settings


@pytest.fixture(scope="session")
def _own_broker() -> Iterator[Broker]:
    with own_broker() as broker:
        yield broker


@pytest.fixture
async def broker(_own_broker: Broker) -> Broker:
    """A broker that may be killed; it runs when a test begins."""
    await _own_broker.until_ready()
    return _own_broker
