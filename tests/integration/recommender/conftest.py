"""The Redis of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.redis import Multiplexer
from shared.settings import RedisSettings
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Multiplexer]:
    connection = Multiplexer(RedisSettings(redis_url=redis_url), timeout=PATIENCE)
    await connection.start()
    await eventually(lambda: connection.up)
    yield connection
    await connection.stop()
