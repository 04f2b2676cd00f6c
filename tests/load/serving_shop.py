"""The shop of the serving benchmark: users with 25 items each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
import redis

from shared.events import CacheRefreshed, ItemChanged
from shared.events.topics import CACHES, ITEMS, Topic
from shared.kafka import encoded
from shared.kafka.producer import Producer
from shared.settings import KafkaSettings
from tests.support.kafka import settings_for

TENANT = "bench"
LIST_LENGTH = 25
RECIPE = "user-personalization"
SERVICE_KEY = "ek_service_bench"
HEADERS = {"x-api-key": SERVICE_KEY, "x-endcap-tenant": TENANT}
SETTINGS = {"ENDCAP_SERVICE_KEY": SERVICE_KEY}
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def fill(environment: Mapping[str, str], users: int, items: int) -> None:
    """Publish items and the pointer, and write lists and purchases into Redis."""
    asyncio.run(_publish(settings_for(environment), items))
    rng = random.Random(1)
    with redis.Redis.from_url(environment["REDIS_URL"]) as store:
        pipeline = store.pipeline(transaction=False)
        for user in range(users):
            chosen = rng.sample(range(items), LIST_LENGTH)
            listed = [[f"product-{item}", round(1 - place / 40, 7)] for place, item in enumerate(chosen)]
            pipeline.set(f"endcap:rec:{TENANT}:1:{RECIPE}:u{user}", orjson.dumps(listed))
            # The response of raw ASGI: the bytes of a complete decorated response.
            pipeline.set(f"{TENANT}u{user}", _response(user, listed[:10]))
            if user % 4 == 0:
                bought = {f"product-{item}": datetime.now(UTC).timestamp() for item in chosen[:3]}
                pipeline.zadd(f"endcap:bought:{{{TENANT}}}:u{user}", bought)
            if user % 1_000 == 0:
                pipeline.execute()
        pipeline.execute()


def _response(user: int, listed: list[list[object]]) -> bytes:
    entries = [
        {"product_id": item, "product_name": f"A product called {item}", "price": 9.99, "score": score}
        for item, score in listed
    ]
    return orjson.dumps(
        {"user_id": f"u{user}", "recommendations": entries, "source": "redis", "generation": 1}
    )


async def _publish(settings: KafkaSettings, items: int) -> None:
    producer = Producer(settings, "bench")
    producer.start()
    changes = [
        ItemChanged(
            event_id=f"item-{n}",
            tenant=TENANT,
            occurred_at=NOW,
            item_id=f"product-{n}",
            name=f"A product called product-{n}",
            price=9.99,
        )
        for n in range(items)
    ]
    pointer = CacheRefreshed(
        event_id="pointer", tenant=TENANT, occurred_at=NOW, activation=1, generations={RECIPE: 1}
    )
    try:
        await _deliver(producer, ITEMS, changes)
        await _deliver(producer, CACHES, [pointer])
    finally:
        await producer.stop()


async def _deliver(
    producer: Producer, topic: Topic, events: list[ItemChanged] | list[CacheRefreshed]
) -> None:
    records = [encoded(event, "bench", f"00-{'1' * 32}-{'2' * 16}-00") for event in events]
    await producer.deliver(topic.name, records, 60.0)
