"""The tenant that the workers share, and the events that are published for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson

from shared.events import (
    BatchCompleted,
    Event,
    InteractionRecorded,
    OrderLine,
    OrderPlaced,
    UserErasureRequested,
    VariantExposed,
)
from shared.events.servings import RecommendationServed, Serving
from shared.events.topics import ERASURE_RECEIPTS
from shared.redis import client
from shared.settings import KafkaSettings, RedisSettings, S3Settings
from tests.support.kafka import raw_records
from tests.support.stack import Database

NOW = datetime.now(UTC).replace(microsecond=0)
RECEIPTS = ERASURE_RECEIPTS.name


@dataclass(frozen=True)
class World:
    """The servers that the workers share, and one tenant."""

    kafka: KafkaSettings
    database: Database
    redis_url: str
    tenant: str

    async def column(self, sql: str) -> set[str]:
        """The first column of a query whose only argument is the tenant."""
        connection = await asyncpg.connect(self.database.url)
        try:
            return {str(row[0]) for row in await connection.fetch(sql, self.tenant)}
        finally:
            await connection.close()

    async def receipts(self, service: str) -> set[str]:
        """The users whose erasure a service has confirmed."""
        events = [orjson.loads(each.value or b"{}") for each in await raw_records(self.kafka, RECEIPTS)]
        return {
            event["user_id"]
            for event in events
            if (event.get("tenant"), event.get("service")) == (self.tenant, service)
        }

    async def keys(self, kind: str) -> set[str]:
        """The last parts of the tenant's keys of a kind in Redis."""
        async with client(RedisSettings(redis_url=self.redis_url)) as redis:
            found = [key async for key in redis.scan_iter(f"endcap:{kind}:*{self.tenant}*:*", count=1_000)]
        return {key.decode().rpartition(":")[2] for key in found}


def common(world: World, n: int) -> dict[str, Any]:
    return {"event_id": f"c{n}-{world.tenant}", "tenant": world.tenant, "occurred_at": NOW}


def interaction(world: World, n: int) -> Event:
    return InteractionRecorded(
        event_id=f"e{n}",
        tenant=world.tenant,
        event_type="view",
        item_id="i1",
        user_id=f"u{n}",
        occurred_at=datetime.now(UTC),  # the experiment runs by now
        received_at=datetime.now(UTC),
    )


def order(world: World, n: int) -> Event:
    return OrderPlaced(
        event_id=f"o{n}",
        tenant=world.tenant,
        occurred_at=NOW,
        order_id=f"o{n}",
        user_id=f"u{n}",
        lines=(OrderLine(item_id="i1", quantity=1, price=2.5),),
    )


def batch(world: World, n: int) -> Event:
    """The end of a run whose files do not exist, so that its load fails."""
    manifest = f"{world.tenant}/runs/{n + 1}/_manifest.json"
    bucket = S3Settings.of("loader").endcap_data_bucket
    return BatchCompleted(
        **common(world, n), run=n + 1, bucket=bucket, manifest=manifest, recipes=(), started_at=NOW
    )


def serving(world: World, n: int) -> Event:
    answer = Serving(
        recommendation_id=f"RID-{n}-{world.tenant}", served_at=NOW, surface="rest", user_id=f"u{n}",
        item_ids=(f"i{n}",), experiment="colours", picked_by=("red",),
    )  # fmt: skip
    return RecommendationServed(**common(world, n), process="p", sequence=1, servings=(answer,))


def exposure(world: World, n: int) -> Event:
    return VariantExposed(
        event_id=f"x{n}",
        tenant=world.tenant,
        occurred_at=NOW,
        experiment="colours",
        experiment_version=1,
        variant="red",
        unit=f"u{n}",
        surface="recommendations",
    )


def erasure(world: World, n: int) -> Event:
    return UserErasureRequested(**common(world, n), erasure_id="1", user_id=f"gone{n}")
