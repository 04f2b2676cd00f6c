"""Count answers and events, erase users, and let reports be computed: the handlers of the worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.analytics.store import Counting, Erasures, OrderReports
from shared.events import BatchCompleted, BatchFailed, InteractionRecorded, UserErasureRequested
from shared.events.servings import RecommendationServed
from shared.kafka import Tombstone


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers of servings-v1, interactions-v1, batches-v1 and erasures-v1."""

    counting: Counting
    erasures: Erasures
    reports: OrderReports

    async def recommendations_served(self, events: Sequence[RecommendationServed]) -> None:
        """Count the answers of one poll."""
        await self.counting.add_servings(events)

    async def interactions_recorded(self, events: Sequence[InteractionRecorded]) -> None:
        """Count the events of one poll, and attribute purchases."""
        await self.counting.add_events(events)

    async def batches(self, events: Sequence[BatchCompleted | BatchFailed]) -> None:
        """Queue the computation of all reports after each completed run; a failed one changes nothing."""
        for event in events:
            if isinstance(event, BatchCompleted):
                await self.reports.ask_for_all(event.tenant, f"run:{event.run}")

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users. Tombstones, which end an erasure, change nothing: old records may still arrive."""
        for event in events:
            if not isinstance(event, Tombstone):
                await self.erasures.erase(event)
