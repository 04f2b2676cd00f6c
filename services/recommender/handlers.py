"""What the worker does with what happened."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.recommender.domain.erased import Erased
from services.recommender.domain.moments import claimed, implies_impressions, login, moment, shown
from services.recommender.metrics import EVENTS, FRESHNESS
from services.recommender.store.erasures import Erasures
from services.recommender.store.histories import Histories
from services.recommender.store.places import About, Places
from services.recommender.store.shown import Shown
from shared.events import InteractionRecorded, UserChanged, UserErasureRequested
from shared.kafka import Tombstone

_KEPT, _PASSED_OVER = EVENTS.labels("kept"), EVENTS.labels("passed_over")


@dataclass(frozen=True, slots=True)
class Handlers:
    """Keeps Redis up with interactions and users."""

    histories: Histories
    places: Places
    shown: Shown
    bought_for: timedelta
    erased: Erased
    erasures: Erasures

    async def interactions_recorded(self, events: Sequence[InteractionRecorded]) -> None:
        """Take the events into histories; what was imported from long ago is in the models anyway.

        A correction takes the claim out of its subject's history before the event itself is taken in.
        """
        events = self.erased.kept([*events])
        if not events:
            return
        oldest = datetime.now(UTC) - self.bought_for
        corrections = [event for event in events if event.replaces is not None]
        if corrections:
            events = [event for event in events if event.replaces is None]
        moments = [one for event in events if (one := moment(event, oldest)) is not None]
        logins = {tie for event in events if (tie := login(event)) is not None}
        await self.histories.record(moments, logins)
        if corrections:
            await self.histories.remove([claimed(event) for event in corrections])
            corrected = [one for event in corrections if (one := moment(event, oldest)) is not None]
            await self.histories.record(corrected)
            if not events:
                return
        counts = _counted(events)
        implied = [event for event in events if implies_impressions(event)]
        held = await self.shown.taken([(each.tenant, each.recommendation_id or "") for each in implied])
        for event, items in zip(implied, held, strict=True):
            counts.setdefault(event.tenant, Counter()).update({*items} - {event.item_id})
        await self.shown.count(counts)
        _KEPT.inc(len(moments))
        _PASSED_OVER.inc(len(events) - len(moments))
        if not events[-1].historical:
            FRESHNESS.observe(max(0.0, time.time() - events[-1].received_at.timestamp()))

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users. `erased` hears of the end of an erasure by itself."""
        for event in events:
            if not isinstance(event, Tombstone):
                self.erased.changed(event.key, event)
                await self.erasures.erase(event)

    async def users_changed(self, events: Sequence[UserChanged | Tombstone]) -> None:
        """Remember what the shop says of users, and forget those who are gone."""
        await self.places.put(dict(_described(event) for event in events))


def _counted(events: Sequence[InteractionRecorded]) -> dict[str, Counter[str]]:
    """How often each item was shown, by tenant."""
    counts: dict[str, Counter[str]] = {}
    for event in events:
        if items := shown(event):
            counts.setdefault(event.tenant, Counter()).update(items)
    return counts


def _described(event: UserChanged | Tombstone) -> tuple[tuple[str, str], About | None]:
    if isinstance(event, Tombstone):
        tenant, _, user_id = event.key.partition(":")
        return (tenant, user_id), None
    place = (event.city, event.province, event.country)
    return (event.tenant, event.user_id), About.of(event.name, place, event.attributes)
