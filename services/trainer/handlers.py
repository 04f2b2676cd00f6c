"""Handlers of training requests and erasure requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.trainer.store import Erasures, Runs
from shared.errors import Permanent
from shared.events import Event, TrainingRequested, UserErasureRequested
from shared.kafka import Tombstone


@dataclass(frozen=True, slots=True)
class Handlers:
    """Records requests; jobs of the worker fulfil them."""

    runs: Runs
    erasures: Erasures

    async def training_requests(self, events: Sequence[Event]) -> None:
        """Handle the records of one poll of training-requests-v1."""
        for event in events:
            if isinstance(event, TrainingRequested):
                await self.training_requested(event)

    async def training_requested(self, request: TrainingRequested) -> None:
        """Request a run, once; while one is queued, the request joins it. Permanent for an unknown tenant."""
        if await self.runs.dataset_group(request.tenant) is None:
            raise Permanent(
                f"There is no tenant {request.tenant} to train: no dataset group has that tenant, or it was "
                "deleted. Make the dataset group first, and have its rows imported under its own tenant."
            )
        await self.runs.request(
            request.tenant, request.reason, import_id=request.import_id, event_id=request.event_id
        )

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Store requests; files are deleted when no run reads them. Tombstones are ignored."""
        for event in events:
            if not isinstance(event, Tombstone):
                await self.erasures.add(event)
