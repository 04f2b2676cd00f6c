"""Keep Redis up to date with interactions, users and erasures: the handlers of the worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.history_events import (
    HistoryEvent,
    history_event,
    implies_impressions,
    impressions,
    login,
    replaced_event,
)
from services.recommender.domain.trends import trend_counts
from services.recommender.domain.unclicked_impressions import FatigueTenants, impression_event
from services.recommender.metrics import EVENTS, FRESHNESS
from services.recommender.store.erasures import Erasures
from services.recommender.store.histories import Histories
from services.recommender.store.impression_counts import ImpressionCounts
from services.recommender.store.subject_changes import SubjectChanges
from services.recommender.store.trending import TrendCounts
from services.recommender.store.unclicked_impressions import UnclickedImpressions
from services.recommender.store.users import UserState, UserStates
from shared.events import InteractionRecorded, UserChanged, UserErasureRequested
from shared.kafka import Tombstone

_KEPT, _SKIPPED = EVENTS.labels("kept"), EVENTS.labels("skipped")


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers of interactions-v1, erasures-v1 and users-v1."""

    histories: Histories
    users: UserStates
    impression_counts: ImpressionCounts
    trend_counts: TrendCounts
    changes: SubjectChanges
    purchase_lookback: timedelta
    erased_users: ErasedUsers
    erasures: Erasures
    unclicked_impressions: UnclickedImpressions
    fatigue_tenants: FatigueTenants

    async def interactions_recorded(self, events: Sequence[InteractionRecorded]) -> None:
        """Add events to histories and count impressions; raise Transient while Redis is unavailable.

        Imported events older than the look-back on purchases are left out: the models know them. A correction
        first removes the event that it replaces from the history of its subject. Withheld events are left
        out, and events of subjects that were erased after them.
        """
        events = self.erased_users.without_erased([event for event in events if event.withheld is None])
        events = await self.erasures.without_erased(events)
        if not events:
            return
        oldest = datetime.now(UTC) - self.purchase_lookback
        corrections = [event for event in events if event.replaces is not None]
        if corrections:
            events = [event for event in events if event.replaces is None]
        kept = _history_events(events, oldest)
        logins = {pair for event in events if (pair := login(event)) is not None}
        await self.histories.record(kept, logins)
        await self.changes.announce([*kept, *logins])
        if corrections:
            replaced = [replaced_event(event) for event in corrections]
            corrected = _history_events(corrections, oldest)
            await self.histories.remove(replaced)
            await self.histories.record(corrected)
            await self.changes.announce([*replaced, *corrected])
            if not events:
                return
        await self._count_impressions(events)
        await self._count_unclicked(events)
        await self.trend_counts.add(trend_counts(events, datetime.now(UTC)))
        _KEPT.inc(len(kept))
        _SKIPPED.inc(len(events) - len(kept))
        if not events[-1].historical:
            FRESHNESS.observe(max(0.0, time.time() - events[-1].received_at.timestamp()))

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users. Tombstones, which end an erasure, are read by the state table of erasures."""
        for event in events:
            if not isinstance(event, Tombstone):
                self.erased_users.apply(event.key, event)
                await self.erasures.erase(event)

    async def users_changed(self, events: Sequence[UserChanged | Tombstone]) -> None:
        """Store the location and the attributes of users, and remove those of deleted users."""
        await self.users.put(dict(_user_state(event) for event in events))

    async def _count_impressions(self, events: Sequence[InteractionRecorded]) -> None:
        counts: dict[str, Counter[str]] = {}
        for event in events:
            if item_ids := impressions(event):
                counts.setdefault(event.tenant, Counter()).update(item_ids)
        implied = [event for event in events if implies_impressions(event)]
        answers = [(event.tenant, event.recommendation_id or "") for event in implied]
        answered_items = await self.impression_counts.take(answers)
        for event, items in zip(implied, answered_items, strict=True):
            counts.setdefault(event.tenant, Counter()).update({*items} - {event.item_id})
        await self.impression_counts.count(counts)

    async def _count_unclicked(self, events: Sequence[InteractionRecorded]) -> None:
        """Count what visitors were shown in vain, for tenants with a placement that needs it."""
        said = (impression_event(event) for event in events if event.tenant in self.fatigue_tenants)
        await self.unclicked_impressions.record([event for event in said if event is not None])


def _history_events(events: Sequence[InteractionRecorded], oldest: datetime) -> list[HistoryEvent]:
    return [kept for event in events if (kept := history_event(event, oldest)) is not None]


def _user_state(event: UserChanged | Tombstone) -> tuple[tuple[str, str], UserState | None]:
    if isinstance(event, Tombstone):
        tenant, _, user_id = event.key.partition(":")
        return (tenant, user_id), None
    location = (event.city, event.province, event.country)
    return (event.tenant, event.user_id), UserState.of(event.name, location, event.attributes)
