"""Memory per item in a recommender, and per user in Redis."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import orjson
import redis

from services.recommender.domain.catalogue import Catalogue
from tests.load.figures import Figure
from tests.load.serving_shop import LIST_LENGTH

EVENTS_PER_USER = 20
MIB = 2**20
TENANT = "bench-memory"


def memory(redis_url: str, items: int, users: int) -> Iterator[Figure]:
    """Measure a sample of items and users, and yield MiB per million items and per million users."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        item_bytes = process.submit(_item_bytes, items).result()
    yield Figure(
        "memory of a recommender per 1 M items",
        item_bytes * 1e6 / MIB,
        "MiB",
        f"{item_bytes:.0f} bytes each, of {items:,}: name, price, 4 properties",
    )
    user_bytes = _user_bytes(redis_url, users)
    yield Figure(
        "memory of Redis per 1 M users",
        user_bytes * 1e6 / MIB,
        "MiB",
        f"{user_bytes:.0f} bytes each, of {users:,}: a list of {LIST_LENGTH}, {EVENTS_PER_USER} events, "
        "2 purchases",
    )


def _item_bytes(items: int) -> float:
    catalogue, before = Catalogue(), _resident_bytes()
    now = datetime.now(UTC)
    for n in range(items):
        properties: dict[str, str | float] = {
            "category": f"category-{n % 60}",
            "brand": f"brand-{n % 300}",
            "created_at": float(n),
            "price": 9.99,
        }
        catalogue.put(
            f"product-{n}",
            f"A product called product-{n}",
            9.99,
            available=True,
            as_of=now,
            properties=properties,
        )
    return (_resident_bytes() - before) / items


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _user_bytes(redis_url: str, users: int) -> float:
    with redis.Redis.from_url(redis_url) as store:
        before = int(store.info("memory")["used_memory"])
        for user in range(users):
            pipeline = store.pipeline(transaction=False)
            listed = [[f"product-{user + n}", round(1 - n / 40, 7)] for n in range(LIST_LENGTH)]
            pipeline.set(f"endcap:rec:{TENANT}:1:user-personalization:customer-{user}", orjson.dumps(listed))
            events = [
                orjson.dumps([f"product-{user + n}", "view", 1_790_000_000.123, f"{user:032x}-{n:03}"])
                for n in range(EVENTS_PER_USER)
            ]
            pipeline.rpush(f"endcap:hist:{{{TENANT}}}:customer-{user}", *events)
            pipeline.zadd(
                f"endcap:bought:{{{TENANT}}}:customer-{user}",
                {f"product-{user + n}": 1_790_000_000 for n in range(2)},
            )
            pipeline.zadd(f"endcap:subjects:{{{TENANT}}}", {f"customer-{user}": 1_790_000_000})
            pipeline.execute()
        used = int(store.info("memory")["used_memory"]) - before
        for key in store.scan_iter(f"endcap:*{TENANT}*", 5_000):
            store.unlink(key)
    return used / users
