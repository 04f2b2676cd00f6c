"""The multiplexer on a real Redis, and on servers that misbehave."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from deploy.local.ports import LOOPBACK
from shared.errors import Transient
from shared.redis import CommandRefused, Multiplexer, Unavailable, client
from shared.settings import RedisSettings
from tests.support.lateness import lateness
from tests.support.processes import start
from tests.support.waiting import eventually


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Server:
    """A Redis of one test, which the test may kill or freeze."""

    folder: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--bind", LOOPBACK, "--save", "", "--dir", str(self.folder)]
        port = () if "--tls-port" in self.options else ("--port", str(self.port))
        self.process = start([*command, *port, *self.options], stdout=subprocess.DEVNULL)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    redis = Server(tmp_path)
    redis.start()
    yield redis
    redis.end()


@asynccontextmanager
async def connected(url: str, patience: float = 0.5, *, wait: bool = True) -> AsyncIterator[Multiplexer]:
    redis = Multiplexer(RedisSettings(redis_url=url), timeout=patience)
    await redis.start()
    try:
        if wait:
            await eventually(lambda: redis.up)
        yield redis
    finally:
        await redis.stop()


async def outcome(attempt: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await attempt()
    except Unavailable as error:
        return error


async def test_a_pipeline_gives_its_replies_in_order(redis_url: str) -> None:
    async with connected(redis_url) as redis:
        replies = await redis.execute(
            ("SET", "a", b"\x00\xff"), ("GET", "a"), ("RPUSH", "l", 1, 2.5, "é"), ("LRANGE", "l", 0, -1)
        )

    assert replies == [b"OK", b"\x00\xff", 3, [b"1", b"2.5", "é".encode()]]


async def test_ten_thousand_callers_get_each_their_own_answer(redis_url: str) -> None:
    async with connected(redis_url, patience=10) as redis:
        await redis.execute(*(("SET", f"k{n}", f"v{n}") for n in range(10_000)))

        answers = await asyncio.gather(*(redis.execute(("GET", f"k{n}")) for n in range(10_000)))

    assert [answer[0] for answer in answers] == [b"v%d" % n for n in range(10_000)]


async def test_a_refused_command_fails_its_own_caller_only(redis_url: str) -> None:
    async with connected(redis_url) as redis:
        await redis.execute(("SET", "text", "x"))

        wrong = redis.execute(("LPUSH", "text", "y"), ("GET", "text"))
        right = redis.execute(("GET", "text"))

        assert await right == [b"x"]
        with pytest.raises(CommandRefused, match="WRONGTYPE"):
            await wrong


async def test_a_full_redis_is_a_passing_trouble(server: Server) -> None:
    async with connected(server.url) as redis:
        await redis.execute(("CONFIG", "SET", "maxmemory", "1mb"))

        with pytest.raises(Transient, match="OOM"):
            await redis.execute(("SET", "a", "x" * 4_000_000))


async def test_the_same_database_is_seen_by_redis_py(redis_url: str) -> None:
    async with connected(redis_url) as redis, client(RedisSettings(redis_url=redis_url)) as other:
        await redis.execute(("SET", "shared", "1"))

        assert await other.get("shared") == b"1"


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


async def test_kill_fails_who_waits_and_a_restart_heals(server: Server) -> None:
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


async def test_a_caller_that_is_cancelled_leaves_its_place_in_the_line(redis_url: str) -> None:
    async with connected(redis_url) as redis:
        await redis.execute(("SET", "a", "1"), ("SET", "b", "2"))
        first, second = redis.execute(("GET", "a")), redis.execute(("GET", "b"))

        first.cancel()

        assert await second == [b"2"]


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


async def test_a_busy_process_does_not_blame_redis(redis_url: str) -> None:
    async with connected(redis_url, patience=0.02) as redis:
        call = redis.execute(("PING",))
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251 - this is the busy process

        assert await call == [b"PONG"]


async def test_a_password_and_a_database_are_taken_from_the_address(tmp_path: Path) -> None:
    server = Server(tmp_path, options=("--requirepass", "p@ss word"))
    server.start()
    address = f"redis://:p%40ss%20word@{LOOPBACK}:{server.port}/3"
    try:
        async with connected(address) as redis:
            await redis.execute(("SET", "a", "1"))
            info = (await redis.execute(("INFO", "keyspace")))[0]
        async with connected(server.url, wait=False) as refused:
            await asyncio.sleep(0.3)
            assert not refused.up
    finally:
        server.end()

    assert b"db3:keys=1" in info


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


async def test_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    authority, key = certificate
    port = free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", str(authority), "--tls-key-file", str(key))
    server = Server(tmp_path, port, ("--port", "0", *tls, "--tls-auth-clients", "no"))
    server.start()
    try:
        async with connected(f"rediss://{LOOPBACK}:{port}/0?ssl_ca_certs={authority}") as redis:
            assert await redis.execute(("PING",)) == [b"PONG"]
        async with connected(f"rediss://{LOOPBACK}:{port}/0", wait=False) as stranger:
            await asyncio.sleep(0.3)
            assert not stranger.up
    finally:
        server.end()


async def test_it_works_under_uvloop_as_it_does_in_a_service(redis_url: str) -> None:
    async def round_trip() -> list[Any]:
        async with connected(redis_url) as redis:
            return await asyncio.gather(*(redis.execute(("ECHO", str(n))) for n in range(500)))

    replies = await asyncio.to_thread(uvloop.run, round_trip())

    assert replies == [[str(n).encode()] for n in range(500)]
