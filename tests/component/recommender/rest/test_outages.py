"""REST answers without Redis, Postgres or Kafka."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from shared.settings import KafkaSettings
from tests.component.recommender.rest.conftest import _activated, ids, ready
from tests.component.recommender.world import PRODUCT_LIMITS
from tests.support.lateness import lateness
from tests.support.waiting import eventually

UNREACHABLE = "127.0.0.1:1"


async def test_postgres_answers_after_redis_lost_everything(own_shop: Any) -> None:
    async with own_shop.recommender() as caller:
        await ready(caller)
        async with own_shop.redis as store:
            await store.flushdb()
        answer = await caller.get("/api/v1/personalize/recommendations/u1")

    assert answer.json()["source"] == "postgres"
    assert ids(answer)[0] == "i0"


async def answered_from(caller: Any, source: str) -> Any:
    """Request the list of u1 until it is not replaced by popular items because Postgres was slow."""
    return await eventually(
        lambda: caller.get("/api/v1/personalize/recommendations/u1"),
        enough=lambda answer: answer.json()["source"] == source,
    )


async def test_purchased_items_are_not_recommended_also_without_redis(own_shop: Any) -> None:
    bought = own_shop.interaction("purchase", "i0", user_id="u1")
    long_ago = own_shop.interaction("purchase", "i1", user_id="u1", ago=timedelta(days=40))
    await own_shop.sql(
        "INSERT INTO tracker.interactions (tenant, event_id, user_id, event_type, item_id, source, "
        "occurred_at, received_at, historical, fingerprint) "
        "VALUES ($1, $2, 'u1', 'purchase', $3, 'events', $4, now(), false, 0)",
        *(
            (own_shop.tenant, purchase.event_id, purchase.item_id, purchase.occurred_at)
            for purchase in (bought, long_ago)
        ),
    )
    async with own_shop.redis as store:
        await store.zadd(
            f"endcap:bought:{{{own_shop.tenant}}}:u1",
            {purchase.item_id: purchase.occurred_at.timestamp() for purchase in (bought, long_ago)},
        )
    async with (
        own_shop.recommender() as caller,
        own_shop.recommender(redis=f"redis://{UNREACHABLE}/0") as without,
    ):
        await ready(caller)
        await eventually(lambda: _activated(without))
        answers = [await answered_from(caller, "redis"), await answered_from(without, "postgres")]

    assert all(ids(answer)[:2] == ["i1", "i2"] for answer in answers)


async def test_without_redis_and_postgres_it_answers_from_memory_in_time(own_shop: Any) -> None:
    nowhere = f"postgresql://recommender:x@{UNREACHABLE}/endcap"
    async with own_shop.recommender(
        redis=f"redis://{UNREACHABLE}/0", postgres=nowhere, **PRODUCT_LIMITS
    ) as caller:
        await eventually(lambda: _activated(caller))

        slowest = 0.0
        async with lateness() as late:
            for n in range(50):
                began = time.perf_counter()
                answer = await caller.get(f"/api/v1/personalize/recommendations/u{n}")
                slowest = max(slowest, time.perf_counter() - began)
                assert answer.status_code == 200
                assert answer.json()["source"] == "popular"

    assert slowest < 0.15 + late.worst


async def test_without_kafka_activations_and_items_come_from_the_views(own_shop: Any) -> None:
    await own_shop.sql(
        "INSERT INTO sync.items (tenant, item_id, name, price, available) "
        "VALUES ($1, $2, 'From a view', 5, $3)",
        (own_shop.tenant, "i0", True),
        (own_shop.tenant, "i1", False),
    )
    async with own_shop.recommender(kafka=KafkaSettings(kafka_bootstrap_servers=UNREACHABLE)) as caller:
        await ready(caller, items=2)
        answer = await caller.get("/api/v1/personalize/recommendations/u1")

    assert answer.json()["recommendations"][0]["product_name"] == "From a view"
    assert ids(answer)[1] == "i2"


async def test_without_kafka_and_postgres_activations_come_from_redis(own_shop: Any) -> None:
    async with own_shop.redis as store:
        await store.set(
            f"endcap:gen:{own_shop.tenant}", b'{"activation":3,"generations":{"user-personalization":7}}'
        )
    nowhere = f"postgresql://recommender:x@{UNREACHABLE}/endcap"
    async with own_shop.recommender(
        kafka=KafkaSettings(kafka_bootstrap_servers=UNREACHABLE), postgres=nowhere
    ) as caller:

        async def listed() -> bool:
            answer = await caller.get("/api/v1/personalize/recommendations/u1")
            return bool(answer.json()["source"] == "redis")

        await eventually(listed)
