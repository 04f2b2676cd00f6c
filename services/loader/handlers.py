"""Handlers of the end of training runs and of erasure requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.loader.domain import require_own_key
from services.loader.store import Erasures, Generations
from shared.errors import Permanent
from shared.events import BatchCompleted, BatchFailed, Event, UserErasureRequested
from shared.kafka import Tombstone


@dataclass(frozen=True, slots=True)
class Handlers:
    """Records batches, which a job of the worker loads, and erases users."""

    generations: Generations
    erasures: Erasures
    bucket: str

    async def batches(self, events: Sequence[Event]) -> None:
        """Handle the records of one poll of batches-v1."""
        for event in events:
            match event:
                case BatchCompleted():
                    await self.batch_completed(event)
                case BatchFailed():
                    await self.batch_failed(event)

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users; a tombstone ends an erasure."""
        for event in events:
            if isinstance(event, Tombstone):
                tenant, _, user_id = event.key.partition(":")
                await self.erasures.end(tenant, user_id)
            else:
                await self.erasures.erase(event)

    async def batch_completed(self, batch: BatchCompleted) -> None:
        """Queue the load of a batch, once; Permanent for a batch outside the bucket, or of another tenant."""
        if batch.bucket != self.bucket:
            raise Permanent(f"run {batch.run} is in bucket {batch.bucket}, not in {self.bucket}")
        require_own_key(batch.manifest, batch.tenant)
        await self.generations.receive(batch)

    async def batch_failed(self, batch: BatchFailed) -> None:
        """Record a failed generation with its reason."""
        await self.generations.receive_failure(batch)
