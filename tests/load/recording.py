"""CPU of recording: interactions from their bytes into histories in Redis, and answers into servings-v1."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.unclicked_impressions import FatigueTenants
from services.recommender.handlers import Handlers
from services.recommender.serving.recorder import AnswerRecorder
from services.recommender.store.crash_safe_counters import CrashSafeCounters
from services.recommender.store.erasures import ErasureMarks, Erasures
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.impression_counts import ImpressionCounts
from services.recommender.store.servings import COLLECT_SECONDS, Servings
from services.recommender.store.subject_changes import SubjectChanges
from services.recommender.store.trending import TrendCounts
from services.recommender.store.unclicked_impressions import UnclickedImpressions
from services.recommender.store.users import UserStates
from shared.aws.personalize.recommendation_ids import RecommendationIds
from shared.events import InteractionRecorded
from shared.events.topics import SERVINGS
from shared.kafka import Publisher
from shared.redis import Multiplexer
from shared.settings import RedisSettings
from tests.load.figures import Figure, cpu_seconds
from tests.load.serving_shop import RECIPE
from tests.load.serving_ways import Budget, Reference
from tests.support.kafka import settings_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.recommender.domain.catalogue import ItemScores

BATCH = 2_000
BURST = 400
ROUNDS = 5
RETENTION = Retention(purchases=timedelta(days=30), history=timedelta(days=90), session=timedelta(days=14))


def recorded(redis_url: str, events: int, users: int, reference: Reference) -> Figure:
    """Measure CPU per event of the worker and of Redis.

    10% of the events are purchases, 10% carry a session.
    """
    measured = [asyncio.run(_measure(redis_url, _events(events, users, n))) for n in range(ROUNDS)]
    detail = f"{min(redis for _, redis in measured):.1f} µs of it in Redis"
    totals = [micros + redis_micros for micros, redis_micros in measured]
    return reference.figure(
        "recommender worker: an interaction into its history", totals, Budget(1.2), detail
    )


def answers_recorded(environment: Mapping[str, str], answers: int, reference: Reference) -> Figure:
    """Measure CPU per answer for its id, its record, and the publication to Kafka."""
    micros = [asyncio.run(_record(environment, answers)) for _ in range(ROUNDS)]
    name = "recommender: the id and the record of an answer, alone"
    return reference.figure(name, micros, None, f"published, {BURST} answers per 100 ms")


async def _record(environment: Mapping[str, str], answers: int) -> float:
    """Return the µs of CPU per answer. The answers are made before, and of as many users."""
    publisher = Publisher(settings_for(environment), "recommender", [SERVINGS], essential=False)
    with TemporaryDirectory() as folder:
        servings = Servings(publisher, CrashSafeCounters(Path(folder), "servings"), 2**24)
        recorder = AnswerRecorder(servings, RecommendationIds(b"k" * 32))
        scores: ItemScores = [(f"product-{n}", 1 - n / 40) for n in range(25)]
        rows = Catalogue().encode(scores, set(), 10, RECIPE)
        await publisher.start()
        await servings.start()
        try:
            async with asyncio.timeout(30):
                while not publisher.up:  # noqa: ASYNC110 - it has no event to wait for
                    await asyncio.sleep(0.05)
            began = time.process_time()
            for begin in range(0, answers, BURST):
                for n in range(begin, begin + BURST):
                    recorder.rest(
                        *("bench", f"u{n}", RECIPE, rows, b"redis", 1, {"limit": 10}), scores=scores
                    )
                await asyncio.sleep(COLLECT_SECONDS)
            await servings.stop()
            return (time.process_time() - began) / answers * 1e6
        finally:
            await publisher.stop()


def _events(count: int, users: int, part: int) -> list[bytes]:
    rng, now = random.Random(part), datetime.now(UTC)
    return [
        InteractionRecorded(
            event_id=f"event-{part}-{n}",
            tenant="bench",
            occurred_at=now + timedelta(milliseconds=n),
            received_at=now,
            user_id=f"customer-{rng.randrange(users)}",
            session_id=f"session-{part}-{n}" if n % 10 == 0 else None,
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
        Erasures(redis, cast("Any", None), cast("Any", None), ErasureMarks(redis, RETENTION.purchases)),
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
