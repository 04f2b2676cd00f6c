"""Batch segment jobs: find the users with the highest affinity to items."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from services.engine import metrics
from services.engine.computations import batch_segment
from services.engine.computations.table import BATCH_SEGMENT
from services.engine.domain.state import BatchSegmentJob
from services.engine.jobs.resource_job import ResourceJob
from services.engine.store import deleted_users

if TYPE_CHECKING:
    from shared.jobs import Job


class BatchSegment(ResourceJob[BatchSegmentJob]):
    """The job of a batch segment job."""

    @property
    def resource_type(self) -> type[BatchSegmentJob]:
        """Return the type of the job's resource."""
        return BatchSegmentJob

    async def run(self, job: Job) -> None:
        """Write the users of each line of a batch segment job, without users deleted since the training."""
        resource = await self._start(job)
        if resource is None:
            return
        version = await self._solution_version(resource)
        source, output, tenant_store = await self._batch_locations(resource)
        spec = batch_segment.Spec(
            version.facts.folder,
            version.facts.trained_sha256,
            source.bucket,
            source.key,
            output.bucket,
            output.key,
            resource.document.num_results,
            await deleted_users.deleted_since(self.database, resource.owner, version.created_at),
            resource.facts.filter,
        )
        counts = await self._compute(job, BATCH_SEGMENT, spec, tenant_store=tenant_store)
        await self._complete(resource, asdict(counts))
        metrics.SEGMENT_LINES.inc(counts.lines)
