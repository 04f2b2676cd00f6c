"""A tracker without servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.tracker.clients import Tracker, running_tracker


@pytest.fixture
async def tracker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tracker]:
    """The application, whose Kafka is a list and whose keys are those of `clients`."""
    async with running_tracker(monkeypatch) as running:
        yield running
