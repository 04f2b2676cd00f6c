"""Handlers of the events that the tracker consumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from services.tracker.domain.orders import purchases
from services.tracker.metrics import CLAIMS, CONFLICTING, REPEATED, STORED
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
        """Publish a purchase for each ordered line. Cancellations and refunds are not interactions.

        A repeated order gives the same event ids, of which the store keeps one.
        """
        now = datetime.now(UTC)
        orders = [order for order in events if isinstance(order, OrderPlaced)]
        await self._publish([purchase for order in orders for purchase in purchases(order, now)])

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
