"""What the tracker does with each event that it consumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from services.tracker.domain.orders import purchases
from services.tracker.metrics import CONFLICTING, REPEATED, STORED
from services.tracker.store import Store
from shared.events import InteractionRecorded, OrderCancelled, OrderPlaced, OrderRefunded
from shared.events.topics import INTERACTIONS
from shared.kafka import Publisher

PUBLISH_AT_ONCE = 1_000
PUBLISH_SECONDS = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Handlers:
    """One method for each topic, called with the events of one poll."""

    store: Store
    publisher: Publisher

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
        for begin in range(0, len(found), PUBLISH_AT_ONCE):
            part = found[begin : begin + PUBLISH_AT_ONCE]
            await self.publisher.publish(INTERACTIONS, part, within=PUBLISH_SECONDS)

    async def interactions_recorded(self, events: Sequence[InteractionRecorded]) -> None:
        """Store each event once, and count it with it."""
        kept = await self.store.keep(events)
        STORED.inc(kept.stored)
        REPEATED.inc(kept.repeated)
        if kept.conflicting:
            CONFLICTING.inc(kept.conflicting)
            log.warning("tracker.events_conflict", conflicting=kept.conflicting)
