"""The shop of the serving benchmark: users with 25 items each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson
import redis

from shared.events import CacheRefreshed, Event, FilterChanged, ItemChanged, PlacementChanged
from shared.events.placements import Placement
from shared.events.topics import CACHES, FILTERS, ITEMS, PLACEMENTS, Topic
from shared.kafka import encoded
from shared.kafka.producer import Producer
from shared.settings import KafkaSettings
from tests.support.kafka import settings_for

TENANT = "bench"
LIST_LENGTH = 25
RECIPE = "user-personalization"
PLACEMENT = "bench"
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
        for user in users_with_history(users):
            pipeline.rpush(f"endcap:hist:{{{TENANT}}}:u{user}", *_history(rng, items))
        pipeline.execute()


def users_with_history(users: int) -> range:
    """Return the numbers of the users who have as many recent events as are kept."""
    return range(1, users, 40)


def _history(rng: random.Random, items: int) -> list[bytes]:
    newest = NOW.timestamp()
    return [
        orjson.dumps([f"product-{rng.randrange(items)}", "click", newest - n, f"event-{n}"])
        for n in range(100)
    ]


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
        await _deliver(producer, FILTERS, [_filter()])
        await _deliver(producer, PLACEMENTS, [_placement()])
        await _deliver(producer, ITEMS, changes)
        await _deliver(producer, CACHES, [pointer])
    finally:
        await producer.stop()


def _filter() -> FilterChanged:
    return FilterChanged(
        event_id="filter",
        tenant=TENANT,
        occurred_at=NOW,
        name="affordable",
        arn="arn:aws:personalize:us-east-1:000000000000:filter/affordable",
        status="ACTIVE",
        expression="INCLUDE ItemID WHERE Items.PRICE < 100",
    )


def _placement() -> PlacementChanged:
    """Return a placement whose filter admits every item, and whose rules apply to some."""
    rules = {
        "hide": [{"item_ids": [f"product-{n}" for n in range(50)]}],
        "boosts": [{"where": "INCLUDE ItemID WHERE Items.PRICE < 50", "factor": 2}],
        "pins": [{"item_id": "product-99", "position": 3}],
    }
    definition = {
        "strategies": [{"strategy": "for-you"}],
        "filters": [{"name": "affordable"}],
        "rules": rules,
    }
    placement = Placement.model_validate(definition)
    return PlacementChanged(
        event_id="placement",
        tenant=TENANT,
        occurred_at=NOW,
        name=PLACEMENT,
        revision=1,
        placement=placement,
    )


async def _deliver(producer: Producer, topic: Topic, events: Sequence[Event]) -> None:
    records = [encoded(event, "bench", f"00-{'1' * 32}-{'2' * 16}-00") for event in events]
    await producer.deliver(topic.name, records, 60.0)
