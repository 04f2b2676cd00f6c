"""Jobs of user segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.engine import metrics
from services.engine.computations import batch_segment
from services.engine.jobs.resource_job import Runner
from services.engine.store import deleted_users

if TYPE_CHECKING:
    from shared.jobs import Job


@dataclass(frozen=True, slots=True)
class Segments(Runner):
    """The job of a batch segment job."""

    async def batch_segment(self, job: Job) -> None:
        """Answer the lines of a batch segment job."""
        resource = await self._begun(job)
        if resource is None:
            return
        version = await self._version_of(resource)
        document = resource.document
        source, output, store = await self._batch_places(resource)
        spec = batch_segment.Spec(
            version.facts["folder"],
            version.facts["model_sha256"],
            source.bucket,
            source.key,
            output.bucket,
            output.key,
            document["numResults"],
            await deleted_users.deleted_since(self.database, resource.owner, version.created_at),
            resource.facts.get("filter"),
        )
        result = await self._compute(job, "segments", spec, store=store)
        await self._done(resource, result)
        metrics.SEGMENT_LINES.inc(result["lines"])
