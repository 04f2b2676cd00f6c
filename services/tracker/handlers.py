"""Handlers of the events that the tracker consumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from services.tracker.domain.orders import line_states, purchases, returns
from services.tracker.metrics import CLAIMS, CONFLICTING, REPEATED, RETURNED, STORED
from services.tracker.store import Erasures, InteractionLog
from shared.events import (
    InteractionRecorded,
    OrderCancelled,
    OrderPlaced,
    OrderRefunded,
    UserErasureRequested,
)
from shared.events.topics import INTERACTIONS
from shared.kafka import Publisher, Tombstone

PUBLISH_BATCH = 1_000
PUBLISH_SECONDS = 10.0

_CONFIRMED, _REPLACED, _REFUSED = (CLAIMS.labels(outcome) for outcome in ("confirmed", "replaced", "refused"))

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Handlers:
    """One method for each topic; it is called with the events of one poll."""

    store: InteractionLog
    publisher: Publisher
    erasures: Erasures

    async def orders_changed(self, events: Sequence[OrderPlaced | OrderCancelled | OrderRefunded]) -> None:
        """Publish a purchase for each ordered line, and a correction for each line that is returned entirely.

        A repeated order gives the same event ids, of which the store keeps one. Returned lines are stored
        first, so that their purchases do not count, whenever they arrive.
        """
        now = datetime.now(UTC)
        states = list(line_states(events))
        is_returned = await self.store.save_line_states(states) if states else {}
        published: list[InteractionRecorded] = []
        for order in events:
            if isinstance(order, OrderPlaced):
                published += purchases(order, now)
            else:
                corrections = returns(order, now)
                published += [event for event in corrections if is_returned[event.tenant, event.event_id]]
        RETURNED.inc(sum(state.returned for state in states))
        await self._publish(published)

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users. A tombstone changes nothing: events from before the erasure remain rejected."""
        for event in events:
            if not isinstance(event, Tombstone):
                await self.erasures.erase(event)

    async def interactions_recorded(self, events: Sequence[InteractionRecorded]) -> None:
        """Store and count each event once, and publish corrections of claims that an order contradicts.

        Corrections themselves are skipped, since this handler has published them.
        """
        events = [event for event in events if event.replaces is None]
        if not events:
            return
        result = await self.store.add(events)
        STORED.inc(result.stored)
        REPEATED.inc(result.repeated)
        if result.conflicting:
            CONFLICTING.inc(result.conflicting)
            log.warning("tracker.events_conflict", conflicting=result.conflicting)
        claims = result.claims
        _CONFIRMED.inc(claims.confirmed)
        _REPLACED.inc(claims.replaced)
        _REFUSED.inc(claims.contradicting)
        await self._publish(claims.corrections)

    async def _publish(self, events: Sequence[InteractionRecorded]) -> None:
        for start in range(0, len(events), PUBLISH_BATCH):
            batch = events[start : start + PUBLISH_BATCH]
            await self.publisher.publish(INTERACTIONS, batch, within=PUBLISH_SECONDS)
