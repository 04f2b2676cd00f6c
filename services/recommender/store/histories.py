"""Write histories: ordered by time, each event once, whatever the order and number of its deliveries.

See docs/decisions/0030-histories.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from services.recommender.store.keys import history_key, link_key, purchases_key, subjects_key
from services.recommender.store.scripts import LINK, RECORD, REMOVE, call
from shared.errors import Transient

if TYPE_CHECKING:
    from services.recommender.domain.history_events import HistoryEvent, Login
    from services.recommender.store.memory_budget import MemoryBudget
    from shared.redis import Multiplexer

CALLS_PER_ROUND_TRIP = 500
SUBJECTS_PER_CALL = 50
"""Subjects whose events a script call adds, in about 0.5 ms. A call for each takes a third more CPU time."""
MAX_REMEMBERED_LINKS = 200_000
MAX_EVENT_ID_CHARACTERS = 40
"""A longer event id is stored as its SHA-1. A UUID has 36 characters."""
HOUR_SECONDS = 3_600
RELINK_SECONDS = 86_400.0
"""The link of a session expires in Redis, so an active session is linked again once a day."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The times that Redis keeps purchases, the histories of users, and those of sessions."""

    purchases: timedelta
    history: timedelta
    session: timedelta


class Histories:
    """Adds events to histories and purchases; adding an event again changes nothing."""

    def __init__(self, redis: Multiplexer, retention: Retention, budget: MemoryBudget | None = None) -> None:
        """Write for each tenant as much as `budget` allows; without one there is no limit."""
        self._redis = redis
        self._retention = retention
        self._budget = budget
        self._linked_at: dict[tuple[str, str, str], float] = {}
        # Before the link expires, also if sessions are kept for less than two days.
        self._relink_seconds = min(RELINK_SECONDS, retention.session.total_seconds() / 2)

    async def record(self, events: Sequence[HistoryEvent], logins: Iterable[Login] = ()) -> None:
        """Add events of any number of subjects, and link sessions to the users who logged in.

        `logins` are those of events that no history keeps. Raise Transient while Redis is unavailable or
        full; then the whole call may be repeated.
        """
        if self._budget is not None:
            self._budget.mark_written({event.tenant for event in events})
        since, spans = time.time() - self._retention.purchases.total_seconds(), self._spans()
        by_tenant: dict[str, dict[tuple[str, bool], list[HistoryEvent]]] = {}
        for event in events:
            groups = by_tenant.setdefault(event.tenant, {})
            subject = (event.user_id or event.session_id or "", not event.user_id)
            groups.setdefault(subject, []).append(event)
        calls: list[list[Any]] = []
        for tenant, groups in by_tenant.items():
            calls += _record_calls(tenant, groups, since, spans)
        now = time.monotonic()
        links = {
            (event.tenant, event.session_id, event.user_id)
            for event in events
            if event.user_id and event.session_id and event.session_id != event.user_id
        }
        links.update(logins)
        links = {link for link in links if now - self._linked_at.get(link, -math.inf) >= self._relink_seconds}
        calls += [_link_call(*link, since, spans) for link in sorted(links)]
        await self._run_all(calls)
        if len(self._linked_at) > MAX_REMEMBERED_LINKS:
            self._linked_at.clear()
        self._linked_at |= dict.fromkeys(links, now)

    async def remove(self, events: Sequence[HistoryEvent]) -> None:
        """Remove events from the histories of their subjects, and of the users who logged in to the sessions.

        Raise Transient while Redis is unavailable.
        """
        await self._run_all([self._remove_call(event) for event in events])

    def forget_links(self) -> None:
        """Link every session again, because Redis lost its data."""
        self._linked_at.clear()

    async def _run_all(self, calls: Sequence[Sequence[Any]]) -> None:
        for begin in range(0, len(calls), CALLS_PER_ROUND_TRIP):
            await self._run(calls[begin : begin + CALLS_PER_ROUND_TRIP])

    async def _run(self, calls: Sequence[Sequence[Any]]) -> None:
        try:
            await call(self._redis, calls)
        except Transient as error:
            if self._budget is not None and is_full(error):
                await self._budget.make_room()
            raise

    def _spans(self) -> _Spans:
        retention = self._retention
        return _Spans(
            _seconds(retention.history),
            _seconds(retention.session),
            _seconds(retention.purchases),
            _expires_at(retention.history),
            _expires_at(retention.session),
        )

    def _remove_call(self, event: HistoryEvent) -> list[Any]:
        subject = event.user_id or event.session_id or ""
        keys = [history_key(event.tenant, subject), purchases_key(event.tenant, subject)]
        if not event.user_id:
            keys.append(link_key(event.tenant, subject))
        return [
            "EVALSHA",
            REMOVE.sha1,
            len(keys),
            *keys,
            _entry_suffix(event),
            event.item_id if event.is_purchase else "",
            event.seconds if event.is_purchase else "",
            history_key(event.tenant, ""),
            purchases_key(event.tenant, ""),
        ]


class _Spans(NamedTuple):
    """Seconds that keys are kept, and when those that are written now expire: the same for a whole batch."""

    history: int
    session: int
    purchases: int
    history_ends: int
    session_ends: int


def _record_calls(
    tenant: str, groups: Mapping[tuple[str, bool], list[HistoryEvent]], since: float, spans: _Spans
) -> Iterator[list[Any]]:
    """Yield the calls that add events to histories, by (user or session, whether it is a session)."""
    head = [
        *("EVALSHA", RECORD.sha1, 1, subjects_key(tenant)),
        *(since, spans.history, spans.session, spans.purchases, spans.history_ends, spans.session_ends),
        *(history_key(tenant, ""), purchases_key(tenant, ""), link_key(tenant, "")),
    ]
    subjects = iter(groups.items())
    while chunk := [*islice(subjects, SUBJECTS_PER_CALL)]:
        call: list[Any] = [*head]
        for (subject, is_session), group in chunk:
            call += (subject, "1" if is_session else "", len(group))
            if len(group) > 1:
                group.sort(key=_time)
            for event in group:
                prefix = orjson.dumps((event.item_id, event.event_type, event.seconds))[:-1]
                suffix = _entry_suffix(event)
                call += (
                    *(prefix + suffix, event.seconds, len(suffix)),
                    event.item_id if event.is_purchase else "",
                )
        yield call


def _link_call(tenant: str, session: str, user: str, since: float, spans: _Spans) -> list[Any]:
    return [
        "EVALSHA",
        LINK.sha1,
        6,
        link_key(tenant, session),
        history_key(tenant, session),
        purchases_key(tenant, session),
        history_key(tenant, user),
        purchases_key(tenant, user),
        subjects_key(tenant),
        user,
        since,
        spans.session,
        spans.history,
        spans.purchases,
        session,
        spans.session_ends,
        spans.history_ends,
    ]


def short_event_id(event_id: str) -> str:
    """Return the id as Redis stores it: a long one as its SHA-1."""
    if len(event_id) > MAX_EVENT_ID_CHARACTERS:
        return hashlib.sha1(event_id.encode(), usedforsecurity=False).hexdigest()
    return event_id


def is_full(error: Exception) -> bool:
    """Return whether Redis rejected a write because it is out of memory."""
    return "OOM" in str(error)


def _entry_suffix(event: HistoryEvent) -> bytes:
    """Return the end of an entry in a history, by which an event is recognized."""
    return b"," + orjson.dumps(short_event_id(event.event_id)) + b"]"


def _expires_at(span: timedelta) -> int:
    """Return when a span that begins now ends, rounded up to the hour: most writes then change nothing."""
    return int((time.time() + span.total_seconds()) // HOUR_SECONDS + 1) * HOUR_SECONDS


def _time(event: HistoryEvent) -> float:
    return event.seconds


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
