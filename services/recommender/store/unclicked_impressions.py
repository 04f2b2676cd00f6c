"""Impressions without a click, by subject and item, in Redis: what a placement's fatigue is about.

A count is right under redelivery, see `impression_script`. A subject's counts end 30 days after its last
event, and are dropped with its history.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from services.recommender.domain.unclicked_impressions import SECONDS_PER_DAY, count_within
from services.recommender.store.histories import CALLS_PER_ROUND_TRIP, is_full, short_event_id
from services.recommender.store.impression_script import MAX_DAYS
from services.recommender.store.keys import subjects_key, unclicked_key
from services.recommender.store.scripts import COUNT_IMPRESSIONS, call
from shared.errors import EndcapError, Transient

if TYPE_CHECKING:
    from datetime import datetime

    from services.recommender.domain.unclicked_impressions import ImpressionEvent
    from shared.redis import Multiplexer

COUNTS_TTL = timedelta(days=MAX_DAYS)

log = structlog.get_logger()


class UnclickedImpressions:
    """Counts impressions of items per subject and day until the subject turns to the item."""

    def __init__(self, redis: Multiplexer, subjects_ttl: timedelta = COUNTS_TTL) -> None:
        """Keep the subjects of a tenant for `subjects_ttl`, which is that of histories."""
        self._redis = redis
        self._subjects_ttl_seconds = int(max(subjects_ttl, COUNTS_TTL).total_seconds())

    async def record(self, events: Sequence[ImpressionEvent]) -> None:
        """Count the impressions of events, each event once, and reset items that subjects turned to.

        Raise Transient while Redis is unavailable. When Redis is full nothing is counted, since histories
        matter more.
        """
        groups: dict[tuple[str, str], list[ImpressionEvent]] = {}
        for event in events:
            groups.setdefault((event.tenant, event.subject), []).append(event)
        calls = [self._call(tenant, subject, group) for (tenant, subject), group in groups.items()]
        # What the visitor saw before the login is counted for the session.
        calls += [
            ("HDEL", unclicked_key(event.tenant, event.session_id), event.engaged)
            for event in events
            if event.session_id is not None and event.engaged is not None
        ]
        try:
            for begin in range(0, len(calls), CALLS_PER_ROUND_TRIP):
                await call(self._redis, calls[begin : begin + CALLS_PER_ROUND_TRIP])
        except Transient as error:
            if not is_full(error):
                raise
            log.warning("impressions.not_counted", error=str(error))

    async def of(self, tenant: str, subjects: Collection[str], days: int, now: datetime) -> dict[str, int]:
        """Return the impressions by item of the last `days` days, of a user and of their session together.

        Return {} while Redis is unavailable.
        """
        if not subjects:
            return {}
        try:
            hashes = await self._redis.execute(
                *(("HGETALL", unclicked_key(tenant, subject)) for subject in subjects)
            )
        except EndcapError as error:
            log.debug("impressions.redis_unavailable", error=repr(error))
            return {}
        today, counts = int(now.timestamp()) // SECONDS_PER_DAY, dict[str, int]()
        for fields in hashes:
            for item, value in zip(fields[::2], fields[1::2], strict=True):
                if item:
                    item_id = item.decode()
                    counts[item_id] = counts.get(item_id, 0) + count_within(value, days, today)
        return counts

    def _call(self, tenant: str, subject: str, events: list[ImpressionEvent]) -> tuple[Any, ...]:
        ttl_seconds = int(COUNTS_TTL.total_seconds())
        entries = [
            (event.milliseconds, short_event_id(event.event_id), event.shown, event.engaged or "")
            for event in events
        ]
        return (
            "EVALSHA",
            COUNT_IMPRESSIONS.sha1,
            2,
            unclicked_key(tenant, subject),
            subjects_key(tenant),
            ttl_seconds,
            subject,
            int(time.time()) + ttl_seconds,
            self._subjects_ttl_seconds,
            orjson.dumps(entries),
        )
