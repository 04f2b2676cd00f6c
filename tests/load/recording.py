"""CPU of the recommender's worker: interactions from their bytes into histories in Redis."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.unclicked_impressions import FatigueTenants
from services.recommender.handlers import Handlers
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.impression_counts import ImpressionCounts
from services.recommender.store.subject_changes import SubjectChanges
from services.recommender.store.trending import TrendCounts
from services.recommender.store.unclicked_impressions import UnclickedImpressions
from services.recommender.store.users import UserStates
from shared.events import InteractionRecorded
from shared.redis import Multiplexer
from shared.settings import RedisSettings
from tests.load.figures import Figure, cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 2_000
RETENTION = Retention(purchases=timedelta(days=30), history=timedelta(days=90), session=timedelta(days=14))


def recorded(redis_url: str, events: int, users: int, raw_micros: float) -> Figure:
    """Measure CPU per event of the worker and of Redis, beside that of a raw answer (µs).

    10% of the events are purchases, 10% carry a session.
    """
    micros, redis_micros = asyncio.run(_measure(redis_url, _events(events, users)))
    total = micros + redis_micros
    return Figure(
        "recommender worker: an interaction into its history",
        total,
        "µs CPU",
        f"{total / raw_micros:.2f} × raw ASGI; {redis_micros:.1f} µs of it in Redis",
        "≤ 1.2 ×",
    )


def _events(count: int, users: int) -> list[bytes]:
    rng, now = random.Random(1), datetime.now(UTC)
    return [
        InteractionRecorded(
            event_id=f"event-{n}",
            tenant="bench",
            occurred_at=now + timedelta(milliseconds=n),
            received_at=now,
            user_id=f"customer-{rng.randrange(users)}",
            session_id=f"session-{n}" if n % 10 == 0 else None,
            event_type="purchase" if n % 10 == 5 else "view",
            item_id=f"product-{rng.randrange(5_000)}",
        )
        .model_dump_json()
        .encode()
        for n in range(count)
    ]


async def _measure(redis_url: str, values: Sequence[bytes]) -> tuple[float, float]:
    redis = Multiplexer(RedisSettings(redis_url=redis_url), timeout=10.0)
    handlers = Handlers(
        Histories(redis, RETENTION),
        UserStates(redis),
        ImpressionCounts(redis),
        TrendCounts(redis),
        SubjectChanges(redis),
        RETENTION.purchases,
        ErasedUsers(),
        cast("Any", None),
        UnclickedImpressions(redis),
        FatigueTenants(),
    )
    await redis.start()
    try:
        async with asyncio.timeout(10):
            while not redis.up:  # noqa: ASYNC110 - it has no event to wait for
                await asyncio.sleep(0.01)
        (info,) = await redis.execute(("INFO", "server"))
        server = int(info.partition(b"process_id:")[2].split()[0])
        before, began = cpu_seconds(server), time.process_time()
        for begin in range(0, len(values), BATCH):
            batch = values[begin : begin + BATCH]
            await handlers.interactions_recorded(
                [InteractionRecorded.model_validate_json(value) for value in batch]
            )
        micros = (time.process_time() - began) / len(values) * 1e6
        redis_micros = (cpu_seconds(server) - before) / len(values) * 1e6
    finally:
        await redis.stop()
    return micros, redis_micros
