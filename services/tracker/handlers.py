"""What the tracker does with each event that it consumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from services.tracker.domain.orders import purchases
from services.tracker.metrics import CLAIMS, CONFLICTING, REPEATED, STORED
from services.tracker.store import Erasures, Store
from shared.events import (
    InteractionRecorded,
    OrderCancelled,
    OrderPlaced,
    OrderRefunded,
    UserErasureRequested,
)
from shared.events.topics import INTERACTIONS
from shared.kafka import Publisher, Tombstone

PUBLISH_AT_ONCE = 1_000
PUBLISH_SECONDS = 10.0

_CONFIRMED, _REPLACED, _REFUSED = (CLAIMS.labels(outcome) for outcome in ("confirmed", "replaced", "refused"))

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Handlers:
    """One method for each topic, called with the events of one poll."""

    store: Store
    publisher: Publisher
    erasures: Erasures

    async def orders_changed(self, events: Sequence[OrderPlaced | OrderCancelled | OrderRefunded]) -> None:
        """Publish a purchase for each line that was ordered; what was taken back is no interaction.

        A repeated order gives the same ids, and the store keeps each once.
        """
        now = datetime.now(UTC)
        found = [
            purchase
            for order in events
            if isinstance(order, OrderPlaced)
            for purchase in purchases(order, now)
        ]
        await self._publish(found)

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users. The end of an erasure changes nothing: what happened before stays refused."""
        for event in events:
            if not isinstance(event, Tombstone):
                await self.erasures.erase(event)

    async def interactions_recorded(self, events: Sequence[InteractionRecorded]) -> None:
        """Store each event once, and count it with it; publish what holds in place of wrong claims.

        Corrections are this handler's own: it passes them over.
        """
        events = [event for event in events if event.replaces is None]
        if not events:
            return
        kept = await self.store.keep(events)
        STORED.inc(kept.stored)
        REPEATED.inc(kept.repeated)
        if kept.conflicting:
            CONFLICTING.inc(kept.conflicting)
            log.warning("tracker.events_conflict", conflicting=kept.conflicting)
        settled = kept.settled
        _CONFIRMED.inc(settled.confirmed)
        _REPLACED.inc(settled.replaced)
        _REFUSED.inc(settled.refused)
        await self._publish(settled.corrections)

    async def _publish(self, events: Sequence[InteractionRecorded]) -> None:
        for begin in range(0, len(events), PUBLISH_AT_ONCE):
            part = events[begin : begin + PUBLISH_AT_ONCE]
            await self.publisher.publish(INTERACTIONS, part, within=PUBLISH_SECONDS)
