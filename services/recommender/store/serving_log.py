"""Reads of servings-v1: one serving by its id, or the newest ones of a placement.

See docs/decisions/0038-servings.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from services.recommender.store.servings import MAX_WAIT_SECONDS
from shared.events.servings import RecommendationServed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.aws.personalize.recommendation_ids import SignedId
    from shared.events.servings import Serving
    from shared.kafka import RecordReader
    from shared.kafka.records import Received

LOOKUP_SECONDS: Final = 3.0
"""Time that a lookup may take, in which a read passes several hundred megabytes. Arbitrary."""
FRESH_SECONDS: Final = 1.0
"""A serving that is younger may not be published yet: it is looked for again. Arbitrary, ten times as long as
servings are collected."""
PAUSE_SECONDS: Final = 0.1
CLOCK_SECONDS: Final = 60.0
"""The clocks of two replicas may differ by so much. Arbitrary."""
TAILS: Final = (30, 400)
"""Records of each partition in which recent answers are looked for, first few and then many. Arbitrary: a
record of a busy shop has its answers of 100 ms, that of a quiet one a single answer."""


class ServingLog:
    """Finds servings. Its methods raise Transient if Kafka is not reachable, or a read takes too long."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader

    async def find(self, tenant: str, id_: str, signed: SignedId, age_seconds: float) -> Serving | None:
        """Return the serving of an id of the tenant that is `age_seconds` old; None if there is none."""
        loop = asyncio.get_running_loop()
        fresh_until = loop.time() + FRESH_SECONDS - age_seconds
        while True:
            is_last = loop.time() >= fresh_until
            serving = await self._find(tenant, id_, signed)
            if serving is not None or is_last:
                return serving
            await asyncio.sleep(PAUSE_SECONDS)

    async def _find(self, tenant: str, id_: str, signed: SignedId) -> Serving | None:
        needle = id_.encode()
        # Later records hold later answers: servings wait for Kafka for a limited time.
        latest = signed.milliseconds + (MAX_WAIT_SECONDS + CLOCK_SECONDS) * 1000
        match: Serving | None = None

        def visit(record: Received) -> bool:
            nonlocal match
            if record.value is not None and needle in record.value:
                servings = _servings(record, tenant)
                match = next((each for each in servings if each.recommendation_id == id_), None)
            return match is not None or record.timestamp > latest

        await self._reader.since(signed.partition, signed.milliseconds, visit, within=LOOKUP_SECONDS)
        return match

    async def recent(self, tenant: str, placement: str | None, count: int) -> list[Serving]:
        """Return up to `count` of the last servings, of a placement if one is named, newest first."""
        by_id: dict[str, Serving] = {}
        owner = f"{tenant}:".encode()
        needle = b"" if placement is None else b'"placement":"%b"' % placement.encode()

        def visit(record: Received) -> bool:
            if (record.key or b"").startswith(owner) and needle in (record.value or b""):
                for each in _servings(record, tenant):
                    if placement in {None, each.placement} and each.shadow is None:
                        by_id.setdefault(each.recommendation_id, each)
            return False

        for tail in TAILS:
            if len(by_id) < count:
                await self._reader.newest(tail, visit, within=LOOKUP_SECONDS)
        return sorted(by_id.values(), key=lambda each: each.served_at, reverse=True)[:count]


def _servings(record: Received, tenant: str) -> Sequence[Serving]:
    """Return the servings of a record; none if it is of another tenant, or invalid."""
    try:
        served = RecommendationServed.model_validate_json(record.value or b"")
    except ValidationError:
        return ()
    return served.servings if served.tenant == tenant else ()
