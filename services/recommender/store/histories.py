"""Writing histories: in the order of time, each event once, in whatever order and how often they come."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.store.keys import bought_key, history_key, link_key, subjects_key
from services.recommender.store.scripts import LINK, RECORD, REMOVE, call
from shared.errors import Transient

if TYPE_CHECKING:
    from services.recommender.domain.history_events import HistoryEvent, Login
    from services.recommender.store.budget import Budget
    from shared.redis import Multiplexer

CALLS_PER_ROUND_TRIP = 500
REMEMBERED_LINKS = 200_000
MOST_ID = 40
"""Characters of an event's id in a history; a longer one is kept as its hash. A UUID has 36."""
HOUR = 3_600
LINK_AGAIN_SECONDS = 86_400.0
"""A link in Redis ends some time after it was last made, so a session that goes on is linked once a day."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How long things are kept in Redis: purchases, histories of users, and those of sessions."""

    bought: timedelta
    history: timedelta
    session: timedelta


class Histories:
    """Takes events into histories and purchases; a repetition changes nothing."""

    def __init__(self, redis: Multiplexer, kept: Kept, budget: Budget | None = None) -> None:
        """`budget` bounds what a tenant's histories take; without it nothing does."""
        self._redis = redis
        self._kept = kept
        self._budget = budget
        self._linked: dict[tuple[str, str, str], float] = {}
        # Half of the time that a link is kept, where that is not even two days.
        self._link_again = min(LINK_AGAIN_SECONDS, kept.session.total_seconds() / 2)

    async def record(self, history_events: Sequence[HistoryEvent], logins: Iterable[Login] = ()) -> None:
        """Take events of any number of subjects, and link sessions to the users who logged in.

        `logins` are those of events that no history keeps.

        Transient while Redis is away or full; then all of it may be given again.
        """
        if self._budget is not None:
            self._budget.note({one.tenant for one in history_events})
        since = time.time() - self._kept.bought.total_seconds()
        groups: dict[tuple[str, str | None, str | None], list[HistoryEvent]] = {}
        for one in history_events:
            subject = (one.tenant, one.user_id, None if one.user_id else one.session_id)
            groups.setdefault(subject, []).append(one)
        calls = [self._recorded(*subject, group, since) for subject, group in groups.items()]
        now = time.monotonic()
        links = {
            (one.tenant, one.session_id, one.user_id)
            for one in history_events
            if one.user_id and one.session_id and one.session_id != one.user_id
        }
        links.update(logins)
        links = {link for link in links if now - self._linked.get(link, -math.inf) >= self._link_again}
        calls += [self._link(*link, since) for link in sorted(links)]
        for begin in range(0, len(calls), CALLS_PER_ROUND_TRIP):
            await self._run(calls[begin : begin + CALLS_PER_ROUND_TRIP])
        if len(self._linked) > REMEMBERED_LINKS:
            self._linked.clear()
        self._linked |= dict.fromkeys(links, now)

    async def remove(self, history_events: Sequence[HistoryEvent]) -> None:
        """Remove events from the histories of their subjects, and of the users whose sessions these are."""
        calls = [self._removed(one) for one in history_events]
        for begin in range(0, len(calls), CALLS_PER_ROUND_TRIP):
            await self._run(calls[begin : begin + CALLS_PER_ROUND_TRIP])

    def forget_links(self) -> None:
        """Redis lost everything: sessions have to be linked again when they come."""
        self._linked.clear()

    async def _run(self, calls: Sequence[Sequence[Any]]) -> None:
        try:
            await call(self._redis, calls)
        except Transient as error:
            if self._budget is not None and is_full(error):
                await self._budget.make_room()
            raise

    def _recorded(
        self, tenant: str, user: str | None, session: str | None, group: list[HistoryEvent], since: float
    ) -> list[Any]:
        subject = user or session or ""
        kept = self._kept
        call: list[Any] = [
            "EVALSHA",
            RECORD.sha1,
            4,
            history_key(tenant, subject),
            bought_key(tenant, subject),
            "" if user else link_key(tenant, subject),
            subjects_key(tenant),
            since,
            _seconds(kept.history if user else kept.session),
            _seconds(kept.bought),
            _seconds(kept.history),
            history_key(tenant, ""),
            bought_key(tenant, ""),
            subject,
            _until(kept.history if user else kept.session),
            _until(kept.history),
        ]
        group.sort(key=_time)
        for one in group:
            tail = _end(one)
            head = orjson.dumps((one.item_id, one.event_type, one.seconds))
            call += (head[:-1] + tail, one.seconds, tail, one.item_id if one.is_purchase else "")
        return call

    def _removed(self, one: HistoryEvent) -> list[Any]:
        subject = one.user_id or one.session_id or ""
        return [
            "EVALSHA",
            REMOVE.sha1,
            3,
            history_key(one.tenant, subject),
            bought_key(one.tenant, subject),
            "" if one.user_id else link_key(one.tenant, subject),
            _end(one),
            one.item_id if one.is_purchase else "",
            one.seconds if one.is_purchase else "",
            history_key(one.tenant, ""),
            bought_key(one.tenant, ""),
        ]

    def _link(self, tenant: str, session: str, user: str, since: float) -> list[Any]:
        kept = self._kept
        return [
            "EVALSHA",
            LINK.sha1,
            6,
            link_key(tenant, session),
            history_key(tenant, session),
            bought_key(tenant, session),
            history_key(tenant, user),
            bought_key(tenant, user),
            subjects_key(tenant),
            user,
            since,
            _seconds(kept.session),
            _seconds(kept.history),
            _seconds(kept.bought),
            session,
            _until(kept.session),
            _until(kept.history),
        ]


def is_full(error: Exception) -> bool:
    """Whether Redis refused a write because it has no memory left."""
    return "OOM" in str(error)


def _end(one: HistoryEvent) -> bytes:
    """Return the end of an entry of a history, by which an event is met again."""
    event_id = one.event_id
    if len(event_id) > MOST_ID:
        event_id = hashlib.sha1(event_id.encode(), usedforsecurity=False).hexdigest()
    return b"," + orjson.dumps(event_id) + b"]"


def _until(span: timedelta) -> int:
    """Return when something ends that begins now, to the hour: so most writes change nothing."""
    return int((time.time() + span.total_seconds()) // HOUR + 1) * HOUR


def _time(one: HistoryEvent) -> float:
    return one.seconds


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
