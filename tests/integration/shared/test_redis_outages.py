"""The multiplexer on a Redis that is full, empty, killed or frozen."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import Transient
from shared.redis import Unavailable
from tests.integration.shared.redis_servers import Server, connected, outcome
from tests.support.lateness import lateness
from tests.support.waiting import eventually


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    redis = Server(tmp_path)
    redis.start()
    yield redis
    redis.end()


async def test_a_full_redis_is_a_passing_trouble(server: Server) -> None:
    async with connected(server.url) as redis:
        await redis.execute(("CONFIG", "SET", "maxmemory", "1mb"))

        with pytest.raises(Transient, match="OOM"):
            await redis.execute(("SET", "a", "x" * 4_000_000))


async def test_without_a_server_calls_fail_at_once_and_work_once_it_is_there(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with connected(server.url, wait=False) as redis:
        began = time.monotonic()
        for _ in range(10_000):
            with pytest.raises(Unavailable):
                redis.execute(("PING",))
        assert time.monotonic() - began < 60, "a wait for each would be minutes"

        server.start()
        try:
            await eventually(lambda: redis.up)
            assert await redis.execute(("PING",)) == [b"PONG"]
        finally:
            server.end()


async def test_a_kill_fails_waiting_callers_and_a_restart_serves_again(server: Server) -> None:
    async with connected(server.url) as redis:
        for _ in range(3):
            server.signal(signal.SIGSTOP)
            waiting = redis.execute(("PING",))
            server.end()

            with pytest.raises(Unavailable):
                await waiting
            assert not redis.up

            server.start()
            await eventually(lambda: redis.up)
            assert await redis.execute(("PING",)) == [b"PONG"]


async def test_a_frozen_redis_costs_a_few_callers_the_time_limit_and_the_rest_nothing(server: Server) -> None:
    async with connected(server.url, patience=0.02) as redis:
        await redis.execute(("SET", "a", "1"))
        server.signal(signal.SIGSTOP)

        slowest, refused_at_once = 0.0, 0
        async with lateness() as late:
            began = time.monotonic()
            # On a busy machine it takes longer to see that callers are refused at once.
            while time.monotonic() - began < (0.5 if refused_at_once > 50 else 20):
                asked = time.monotonic()
                assert isinstance(await outcome(lambda: redis.execute(("GET", "a"))), Unavailable)
                took = time.monotonic() - asked
                slowest = max(slowest, took)
                refused_at_once += took < 0.001
                await asyncio.sleep(0.001)

        assert slowest < 0.06 + late.worst
        assert refused_at_once > 50

        server.signal(signal.SIGCONT)
        async with lateness() as late:
            began = time.monotonic()
            await eventually(lambda: redis.up, every=0.005)
            took = time.monotonic() - began
        assert took < 3 + late.worst
        assert await redis.execute(("GET", "a")) == [b"1"]


async def test_a_redis_frozen_for_long_is_left_and_found_again(server: Server) -> None:
    async with connected(server.url, patience=0.02) as redis:
        await redis.execute(("SET", "a", "1"))
        server.signal(signal.SIGSTOP)
        for _ in range(8):
            await outcome(lambda: redis.execute(("GET", "a")))
        await asyncio.sleep(3)
        assert not redis.up

        server.signal(signal.SIGCONT)
        await eventually(lambda: redis.up)
        assert await redis.execute(("GET", "a")) == [b"1"]


async def test_flushall_is_an_empty_answer_not_an_error(server: Server) -> None:
    async with connected(server.url) as redis:
        await redis.execute(("SET", "a", "1"), ("FLUSHALL",))

        assert await redis.execute(("GET", "a")) == [None]
