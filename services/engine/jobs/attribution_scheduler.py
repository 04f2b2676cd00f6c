"""The scheduler of attribution counts: it queues a job for each closed bucket that has uncounted events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from services.engine.domain.state import MetricAttribution
from services.engine.jobs.metric_attributions import KIND, parse_metrics
from services.engine.store import attributions
from shared import jobs
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.engine.domain.resources import Resource
    from shared.postgres import Database

INTERVAL_SECONDS = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AttributionScheduler:
    """Queues the counts that are due; several schedulers queue no count twice."""

    database: Database
    garbage_hours: float
    """Time that replaced objects of imports stay readable."""

    async def run(self) -> None:
        """Queue the counts that are due, and forget buckets that can't change any more."""
        await self.enqueue_due()
        await attributions.forget(self.database, self.garbage_hours)

    async def enqueue_due(self) -> int:
        """Queue a count of each bucket that needs one, and return how many were queued."""
        queued = 0
        for attribution in await attributions.list_active(self.database):
            try:
                queued += await self._enqueue(attribution)
            except UNAVAILABLE:
                raise
            except Exception:
                # An error of one metric attribution must not delay the others.
                log.exception("engine.counting_failed", attribution=attribution.arn)
        return queued

    async def _enqueue(self, row: Resource) -> int:
        attribution = MetricAttribution.of(row)
        types = sorted({metric.canonical for metric in parse_metrics(attribution)})
        queued = 0
        async with self.database.transaction() as connection:
            last_scan = await attributions.lock_last_scan(connection, attribution)
            if last_scan is None:
                return 0
            changed = await attributions.changed_buckets(connection, attribution, types, last_scan)
            for bucket, events in changed:
                start = int(bucket.timestamp())
                payload = {"resource": attribution.id, "bucket": start, "events": events}
                key = f"{attribution.id}:{start}:{events}"
                job = await jobs.enqueue(connection, KIND, key, payload, tenant=attribution.owner)
                queued += job is not None
        return queued
