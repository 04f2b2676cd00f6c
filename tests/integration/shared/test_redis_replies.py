"""The multiplexer on servers that reply late, too often or with garbage."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deploy.local.ports import LOOPBACK
from shared.redis import Unavailable
from tests.integration.shared.redis_servers import connected, outcome
from tests.support.waiting import eventually


class Proxy(asyncio.Protocol):
    """Answers every command late, by a random delay, or with whatever `spoil` makes of the answer."""

    def __init__(self, answer: Callable[[bytes], list[tuple[float, bytes]]]) -> None:
        self.answer = answer
        self.ready_at = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        for delay, reply in self.answer(data):
            # Replies keep their order, as TCP does; timers of equal time don't.
            self.ready_at = max(self.ready_at + 1e-6, loop.time() + delay)
            loop.call_at(self.ready_at, self.transport.write, reply)


@asynccontextmanager
async def misbehaving(answer: Callable[[bytes], list[tuple[float, bytes]]]) -> AsyncIterator[str]:
    listener = await asyncio.get_running_loop().create_server(lambda: Proxy(answer), LOOPBACK, 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield f"redis://{LOOPBACK}:{port}/0"


def echoed(data: bytes) -> list[bytes]:
    """The last argument of each command in the bytes, as a bulk string."""
    parts = [part for part in data.split(b"\r\n") if part]
    replies, at = [], 0
    while at < len(parts):
        count = int(parts[at][1:])
        word = parts[at + 2 * count]
        replies.append(b"+PONG\r\n" if word == b"PING" else b"$%d\r\n%s\r\n" % (len(word), word))
        at += 1 + 2 * count
    return replies


@pytest.mark.parametrize("seed", range(5))
async def test_a_late_reply_never_reaches_another_caller(seed: int) -> None:
    chance = random.Random(seed)

    def slowly(data: bytes) -> list[tuple[float, bytes]]:
        late = 0.08 if chance.random() < 0.1 else 0.0
        whole = b"".join(echoed(data))
        cut = chance.randrange(len(whole) + 1)
        return [(late, whole[:cut]), (late + chance.random() / 500, whole[cut:])]

    async with misbehaving(slowly) as url, connected(url, patience=0.02) as redis:
        numbers = itertools.count()
        answered, gave_up = 0, 0

        async def one() -> None:
            nonlocal answered, gave_up
            word = b"w%d" % next(numbers)
            call = outcome(lambda: redis.execute(("GET", word)))
            reply = await (call if chance.random() < 0.9 else asyncio.wait_for(call, 0.5))
            if isinstance(reply, Unavailable):
                gave_up += 1
            else:
                answered += 1
                assert reply == [word]

        for _ in range(300):
            await asyncio.gather(*(one() for _ in range(chance.randrange(1, 6))))
            await asyncio.sleep(chance.random() / 200)

    assert answered > 50
    assert gave_up > 5


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x01\x02\r\n", b"*-9\r\n"])
async def test_garbage_ends_the_connection_not_the_process(garbage: bytes) -> None:
    spoilt = False

    def answer(data: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, garbage)] if spoilt else [(0.0, b"".join(echoed(data)))]

    async with misbehaving(answer) as url, connected(url) as redis:
        spoilt = True
        with pytest.raises(Unavailable):
            await redis.execute(("GET", "a"))
        assert not redis.up

        spoilt = False
        await eventually(lambda: redis.up)
        assert await redis.execute(("GET", "a")) == [b"a"]


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    def twice(data: bytes) -> list[tuple[float, bytes]]:
        replies = echoed(data)
        return [(0.0, b"".join(replies + (replies if b"GET" in data else [])))]

    async with misbehaving(twice) as url, connected(url) as redis:
        assert await redis.execute(("GET", "a")) == [b"a"]
        assert not redis.up
