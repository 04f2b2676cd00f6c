"""The multiplexer follows the master that sentinels name, after a crash, a freeze and a planned change."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import quote

import pytest
import redis
from redis.asyncio.sentinel import SentinelConnectionPool

from deploy.local.ports import LOOPBACK
from shared.redis import CLIENT_ERRORS, Multiplexer, client
from shared.settings import RedisSettings
from tests.integration.shared import redis_clusters
from tests.integration.shared.redis_clusters import MASTER, PASSWORD
from tests.integration.shared.redis_servers import Server, connected, outcome
from tests.support.waiting import eventually


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[tuple[list[Server], str]]:
    """Two servers, the first of which is the master, and the address of their sentinels."""
    with redis_clusters.sentinel(tmp_path) as (servers, ports):
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in (1, *ports))  # nobody listens at the first
        yield servers, f"redis+sentinel://:{quote(PASSWORD)}@{hosts}/{MASTER}/2"


async def _writes(multiplexer: Multiplexer, value: str) -> bool:
    return await outcome(lambda: multiplexer.execute(("SET", "key", value))) == [b"OK"]


async def test_a_killed_master_is_replaced(installation: tuple[list[Server], str]) -> None:
    (master, replica), address = installation
    async with connected(address) as multiplexer, client(RedisSettings(redis_url=address)) as other:
        await multiplexer.execute(("SET", "before", "1"), ("WAIT", 1, 1000))
        assert await other.get("before") == b"1"

        master.end()

        await eventually(lambda: _writes(multiplexer, "after"))
        assert await multiplexer.execute(("GET", "before")) == [b"1"]

        async def read() -> bytes | None:
            try:
                value: bytes | None = await other.get("key")
            except CLIENT_ERRORS:
                return None
            return value

        assert await eventually(read) == b"after"
        for sentinel in cast("SentinelConnectionPool", other.connection_pool).sentinel_manager.sentinels:
            await sentinel.aclose()
    with redis_clusters.client(replica) as direct:
        assert direct.info("keyspace")["db2"]["keys"] == 2, "the database of the address is used"


async def test_a_frozen_master_is_left(installation: tuple[list[Server], str]) -> None:
    (master, replica), address = installation
    async with connected(address, patience=0.1) as multiplexer:
        master.signal(signal.SIGSTOP)
        await eventually(lambda: _writes(multiplexer, "after"))
        master.signal(signal.SIGCONT)

        with redis_clusters.client(replica) as direct:
            direct.select(2)
            assert direct.get("key") == b"after"


async def test_a_master_that_becomes_a_replica_is_left(installation: tuple[list[Server], str]) -> None:
    (master, _), address = installation
    async with connected(address) as multiplexer:
        port = int(address.rpartition("/shop")[0].rpartition(":")[2])
        with redis.Redis(host=LOOPBACK, port=port) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", MASTER)

        await eventually(lambda: _moved(multiplexer, master))
        assert await _writes(multiplexer, "after")


async def _moved(multiplexer: Multiplexer, master: Server) -> bool:
    reply = await outcome(lambda: multiplexer.execute(("CONFIG", "GET", "port"), ("ROLE",)))
    if isinstance(reply, Exception):
        return False
    (_, port), (role, *_) = reply
    return port != str(master.port).encode() and role == b"master"
