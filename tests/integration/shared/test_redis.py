"""The multiplexer on a real Redis: pipelines, callers at once, addresses and TLS."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from deploy.local.ports import LOOPBACK
from shared.redis import CommandRefused, client
from shared.settings import RedisSettings
from tests.integration.shared.redis_servers import Server, connected, free_port
from tests.support.certificates import make_certificates


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


async def test_the_same_database_is_seen_by_redis_py(redis_url: str) -> None:
    async with connected(redis_url) as redis, client(RedisSettings(redis_url=redis_url)) as other:
        await redis.execute(("SET", "shared", "1"))

        assert await other.get("shared") == b"1"


async def test_a_caller_that_is_cancelled_leaves_its_place_in_the_line(redis_url: str) -> None:
    async with connected(redis_url) as redis:
        await redis.execute(("SET", "a", "1"), ("SET", "b", "2"))
        first, second = redis.execute(("GET", "a")), redis.execute(("GET", "b"))

        first.cancel()

        assert await second == [b"2"]


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


@pytest.mark.parametrize("place", ["address", "setting"])
async def test_tls_with_a_user_and_a_password(tmp_path: Path, place: str) -> None:
    files = make_certificates(tmp_path)
    port = free_port()
    tls = (
        "--tls-port",
        str(port),
        "--tls-cert-file",
        str(files.certificate),
        "--tls-key-file",
        str(files.key),
    )
    user = ("--user", "shop", "on", ">open%sesame", "allcommands", "allkeys", "--user", "default", "off")
    server = Server(tmp_path, port, ("--port", "0", *tls, "--tls-auth-clients", "no", *user))
    server.start()
    address = f"rediss://shop:open%25sesame@{LOOPBACK}:{port}/0"
    settings = RedisSettings(redis_url=address, redis_ca_file=str(files.authority))
    if place == "address":
        settings = RedisSettings(redis_url=f"{address}?ssl_ca_certs={files.authority}")
    try:
        async with connected(settings) as redis, client(settings) as other:
            assert await redis.execute(("ACL", "WHOAMI")) == [b"shop"]
            assert await other.acl_whoami() == "shop"
        async with connected(address, wait=False) as stranger:
            await asyncio.sleep(0.3)
            assert not stranger.up, "the system's authorities did not sign the server's certificate"
    finally:
        server.end()


async def test_it_works_under_uvloop_as_it_does_in_a_service(redis_url: str) -> None:
    async def round_trip() -> list[Any]:
        async with connected(redis_url) as redis:
            return await asyncio.gather(*(redis.execute(("ECHO", str(n))) for n in range(500)))

    replies = await asyncio.to_thread(uvloop.run, round_trip())

    assert replies == [[str(n).encode()] for n in range(500)]
