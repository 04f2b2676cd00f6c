"""Looking for what metric attributions have to count: closed quarters of an hour with other events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from services.engine.jobs.metric_attributions import KIND, metrics_of
from services.engine.store import attributions
from shared import jobs
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.engine.domain.resources import Resource
    from shared.postgres import Database

EVERY_SECONDS = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Counting:
    """Queues the counts that are due. Several at once queue none twice."""

    database: Database
    hours: float
    """How long replaced rows of imports stay readable."""

    async def look(self) -> None:
        """Queue what is due, and forget what can't change any more."""
        await self.queue_due()
        await attributions.forget(self.database, self.hours)

    async def queue_due(self) -> int:
        """Queue a count of each bucket that needs one; gives how many."""
        queued = 0
        for found in await attributions.list_active(self.database):
            try:
                queued += await self._queue(found)
            except UNAVAILABLE:
                raise
            except Exception:
                # One that can't be looked at does not hold up the others.
                log.exception("engine.counting_failed", attribution=found.arn)
        return queued

    async def _queue(self, found: Resource) -> int:
        types = sorted({metric.canonical for metric in metrics_of(found)})
        queued = 0
        async with self.database.transaction() as connection:
            looked_at = await attributions.lock_last_scan(connection, found)
            if looked_at is None:
                return 0
            for bucket, events in await attributions.changed_buckets(connection, found, types, looked_at):
                begin = int(bucket.timestamp())
                payload = {"resource": found.id, "bucket": begin, "events": events}
                key = f"{found.id}:{begin}:{events}"
                job = await jobs.enqueue(connection, KIND, key, payload, tenant=found.owner)
                queued += job is not None
        return queued
