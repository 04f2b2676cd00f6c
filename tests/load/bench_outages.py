"""Answers of the recommender under load while a store is stopped, frozen, full or empty.

Each row is one outage: it begins a fifth of the way through the load and lasts until its end. The row has the
p99 of all answers; its reference is requests, errors (any status but 200, and lost connections), p50, and the
share of the answers by source.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import orjson
import redis

from deploy.local.stack import Stack
from tests.load import serving_shop as shop
from tests.load.bench_overload import visit
from tests.load.figures import Figure
from tests.load.serving_process import PREFIX, call, is_filled, server, serving_stack, wait_until

SLOW_SECONDS = 5
MOST_SECONDS = 0.15
"""The promise: a p99 of 150 ms whatever store is down (docs/serving.md)."""


@dataclass(frozen=True)
class Size:
    """The shop, and the rate and duration of the load of each outage."""

    users: int
    items: int
    rate: float
    seconds: float
    connections: int


FULL = Size(users=2_000, items=500, rate=300.0, seconds=10.0, connections=200)


def run() -> list[Figure]:
    """Measure over components of its own."""
    with serving_stack() as stack:
        return list(measure(stack, FULL))


def measure(stack: Stack, size: Size) -> Iterator[Figure]:
    """Yield one figure per outage."""
    environment = {**stack.environment, **shop.SETTINGS}
    shop.fill(environment, size.users, size.items)
    asyncio.run(fill_postgres(stack.environment["DATABASE_URL"], environment["REDIS_URL"]))
    paths = [f"{PREFIX}/recommendations/u{user}?limit=10" for user in range(0, size.users, 3)]
    outages: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "nothing": nullcontext,
        "Redis stopped": partial(stopped, stack, "redis"),
        "Redis frozen": partial(frozen, stack, "redis"),
        "Redis slow, 5 s": partial(slow, environment["REDIS_URL"]),
        "Redis full": partial(full, environment["REDIS_URL"]),
        "Redis emptied": partial(emptied, stack, size),
        "Postgres stopped": partial(stopped, stack, "postgres"),
        "Postgres frozen": partial(frozen, stack, "postgres"),
        "Redis and Postgres stopped": partial(stopped, stack, "redis", "postgres"),
        "Redis stopped, Postgres frozen": partial(stopped_and_frozen, stack),
        "Kafka stopped": partial(stopped, stack, "kafka"),
    }
    with server("services.recommender", environment) as (_, port):
        wait_until(lambda: is_filled(port, size.items))
        call(port, f"{PREFIX}/recommendations/nobody")  # popular items are in memory from now on
        for name, outage in outages.items():
            wait_until(lambda: _source(port, paths[0]) == "redis")
            yield _figure(name, _during(outage, port, paths, size))


def _during(
    outage: Callable[[], AbstractContextManager[None]], port: int, paths: list[str], size: Size
) -> dict[str, Any]:
    with ExitStack() as ends:
        timer = threading.Timer(size.seconds / 5, lambda: ends.enter_context(outage()))
        timer.start()
        result = visit(port, paths, size.rate, size.seconds, size.connections, MOST_SECONDS)
        timer.join()
    return result


def _figure(name: str, result: dict[str, Any]) -> Figure:
    answered = max(result["statuses"].get("200", 0), 1)
    errors = result["requests"] - result["statuses"].get("200", 0)
    shares = ", ".join(f"{source} {count / answered:.0%}" for source, count in result["sources"].items())
    counts = f"{result['requests']:,} requests, {errors:,} errors, p50 {result['p50'] * 1e3:.1f} ms"
    return Figure(
        f"{name}: p99",
        result["p99"] * 1e3,
        "ms",
        f"{counts}; {shares}",
        "no error, ≤ 150 ms",
        limit=MOST_SECONDS * 1e3,
    )


def _source(port: int, path: str) -> str:
    return str(call(port, path)["source"])


@contextmanager
def stopped(stack: Stack, *names: str) -> Iterator[None]:
    """Stop components, and start them at the end."""
    for name in names:
        stack.supervisor.stop(name)
    try:
        yield
    finally:
        stack.start(*names)


@contextmanager
def frozen(stack: Stack, name: str) -> Iterator[None]:
    """Freeze a component, which then holds its connections and answers nothing."""
    stack.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.kill(name, signal.SIGCONT)


@contextmanager
def stopped_and_frozen(stack: Stack) -> Iterator[None]:
    """Stop Redis and freeze Postgres."""
    with stopped(stack, "redis"), frozen(stack, "postgres"):
        yield


@contextmanager
def slow(redis_url: str) -> Iterator[None]:
    """Let Redis answer each command only after up to five seconds."""
    with redis.Redis.from_url(redis_url) as store:
        store.execute_command("CLIENT", "PAUSE", SLOW_SECONDS * 1000, "ALL")
        yield


@contextmanager
def full(redis_url: str) -> Iterator[None]:
    """Let Redis refuse writes for want of memory."""
    with redis.Redis.from_url(redis_url) as store:
        store.config_set("maxmemory", "1mb")
        try:
            yield
        finally:
            store.config_set("maxmemory", "0")


@contextmanager
def emptied(stack: Stack, size: Size) -> Iterator[None]:
    """Delete all of Redis's data, and write it again at the end, as the loader does."""
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as store:
        store.flushall()
    try:
        yield
    finally:
        shop.fill({**stack.environment, **shop.SETTINGS}, size.users, size.items)


async def fill_postgres(database_url: str, redis_url: str) -> None:
    """Copy the lists of the shop from Redis to Postgres, and activate them there, with a popularity list."""
    prefix = f"endcap:rec:{shop.TENANT}:1:{shop.RECIPE}:"
    with redis.Redis.from_url(redis_url) as store:
        keys = list(store.scan_iter(f"{prefix}*", 5_000))
        lists = [
            (shop.RECIPE, key.decode().removeprefix(prefix), value.decode())
            for key, value in zip(keys, store.mget(keys), strict=True)
        ]
    lists.append(("popularity", "all", orjson.dumps([[f"product-{n}", 1.0] for n in range(25)]).decode()))
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO loader.generations (generation, tenant, status) VALUES (1, $1, 'loaded')",
            shop.TENANT,
        )
        await connection.execute(
            "CREATE TABLE loader.lists_of_bench PARTITION OF loader.lists FOR VALUES IN (1)"
        )
        await connection.executemany(
            "INSERT INTO loader.lists VALUES ($1, 1, $2, $3, $4::text::jsonb)",
            [(shop.TENANT, recipe, list_id, items) for recipe, list_id, items in lists],
        )
        await connection.executemany(
            "INSERT INTO loader.active (tenant, recipe, generation, activation) VALUES ($1, $2, 1, 1)",
            [(shop.TENANT, shop.RECIPE), (shop.TENANT, "popularity")],
        )
    finally:
        await connection.close()
