"""Commands are routed in a Redis Cluster, also while a master fails and while slots move."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from redis.crc import key_slot

from deploy.local.ports import LOOPBACK
from services.recommender.domain.history_events import HistoryEvent
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.keys import HISTORIES_COMPLETE, history_key, purchases_key
from services.recommender.store.memory_budget import MemoryBudget
from shared.redis import client, get_all, set_all, unlink_all
from shared.settings import RedisSettings
from tests.integration.shared import redis_clusters
from tests.integration.shared.redis_clusters import PASSWORD
from tests.integration.shared.redis_servers import Server, connected, outcome
from tests.support.waiting import eventually

KEYS = [f"key-{number}" for number in range(300)]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with redis_clusters.cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


def address(nodes: list[Server]) -> str:
    hosts = ",".join(f"{LOOPBACK}:{port}" for port in (1, *(node.port for node in nodes[:2])))
    return f"redis+cluster://:{quote(PASSWORD)}@{hosts}"


async def test_replies_of_several_nodes_come_in_the_order_of_the_commands(nodes: list[Server]) -> None:
    async with connected(address(nodes), patience=1) as cluster:
        await cluster.execute(*(("SET", key, f"value of {key}") for key in KEYS))
        (clock, *values, info) = await cluster.execute(
            ("TIME",), *(("GET", key) for key in KEYS), ("INFO", "memory")
        )

    assert values == [f"value of {key}".encode() for key in KEYS]
    assert abs(int(clock[0]) - time.time()) < 60
    assert b"used_memory" in info


async def test_the_loaders_client_writes_keys_of_all_nodes(nodes: list[Server]) -> None:
    async with (
        client(RedisSettings(redis_url=address(nodes))) as other,
        connected(address(nodes), patience=1) as cluster,
    ):
        await set_all(other, {f"list:{key}": key for key in KEYS})
        assert await get_all(other, [f"list:{key}" for key in KEYS]) == [key.encode() for key in KEYS]
        assert await cluster.execute(("GET", "list:key-7")) == [b"key-7"]

        await unlink_all(other, [f"list:{key}" for key in KEYS])
        assert await get_all(other, [f"list:{key}" for key in KEYS]) == [None] * len(KEYS)


async def test_histories_of_sessions_and_users_are_on_one_node(nodes: list[Server]) -> None:
    def event(user: str | None, session: str, number: int) -> HistoryEvent:
        return HistoryEvent(
            "shop", user, session, f"i{number}", "purchase", time.time() + number, f"e{number}"
        )

    day = timedelta(days=1)
    async with connected(address(nodes), patience=1) as cluster:
        budget = MemoryBudget(cluster, 10**9)
        histories = Histories(cluster, Retention(day, day, day), budget)
        await histories.record([event(None, "s", 1), event("u", "s", 2), event(None, "s", 3)])
        await histories.record([event(None, "s", 4)])
        await histories.remove([event(None, "s", 3)])
        entries, bought = await cluster.execute(
            ("LRANGE", history_key("shop", "u"), 0, -1), ("ZRANGE", purchases_key("shop", "u"), 0, -1)
        )
        await budget.trim(["shop"])

    assert len(entries) == 3
    assert bought == [b"i1", b"i2", b"i4"]


def test_marks_of_complete_histories_are_spread_over_the_slots() -> None:
    slots = [key_slot(key.encode()) for key in HISTORIES_COMPLETE]

    assert [slot * 16 // 16384 for slot in slots] == list(range(16))


async def test_a_slot_that_moves_is_followed(nodes: list[Server]) -> None:
    slot = key_slot(b"key-1")
    async with connected(address(nodes), patience=1) as cluster:
        await cluster.execute(("SET", "key-1", "here"), ("SET", "key-2", "there"))
        source, target = await _source_and_target(nodes, slot)
        ids = {node.port: str(_call(node, "CLUSTER", "MYID"), "ascii") for node in (source, target)}
        _call(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        _call(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])

        # The key is still at the source, then at the target although the slot is not.
        assert await cluster.execute(("GET", "key-1")) == [b"here"]
        _call(source, "MIGRATE", LOOPBACK, target.port, "key-1", 0, 5000, "AUTH", PASSWORD)
        assert await cluster.execute(("GET", "key-1"), ("GET", "key-2")) == [b"here", b"there"]

        for node in (target, source):
            _call(node, "CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])
        assert await cluster.execute(("GET", "key-1")) == [b"here"]


async def test_a_master_that_dies_is_replaced_by_its_replica(nodes: list[Server]) -> None:
    async with connected(address(nodes), patience=0.2) as cluster:
        await cluster.execute(*(("SET", key, "kept") for key in KEYS))
        await asyncio.gather(*(cluster.execute(("SET", key, "kept"), ("WAIT", 1, 1000)) for key in KEYS[:3]))
        nodes[2].end()

        async def is_whole() -> Any:
            return await outcome(lambda: cluster.execute(*(("GET", key) for key in KEYS)))

        replies = await eventually(is_whole, enough=lambda seen: isinstance(seen, list))
        await eventually(lambda: cluster.up)

    assert replies == [b"kept"] * len(KEYS)


async def _source_and_target(nodes: list[Server], slot: int) -> tuple[Server, Server]:
    for first, last, (_, port, *_), *_ in _call(nodes[0], "CLUSTER", "SLOTS"):
        if first <= slot <= last:
            source = next(node for node in nodes if node.port == port)
            return source, next(node for node in nodes[:3] if node is not source)
    raise AssertionError(f"nobody serves slot {slot}")


def _call(node: Server, *words: Any) -> Any:
    with redis_clusters.client(node) as caller:
        return caller.execute_command(*words)
