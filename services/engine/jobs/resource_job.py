"""What every job does alike: take its resource up, compute in a process of its own, and end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from services.engine.computations import launcher
from services.engine.domain import locations
from services.engine.domain.resources import Resource, Status
from services.engine.store import buckets, resources
from shared.errors import Permanent
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from pathlib import Path

    from services.engine.domain.locations import Location
    from services.engine.settings import Settings
    from services.engine.store.buckets import TenantStore
    from shared.jobs import Job
    from shared.postgres import Database

WANTED_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Runner:
    """Jobs over the engine's database; they reach the object store in their own processes."""

    database: Database
    settings: Settings

    async def _begun(self, job: Job) -> Resource | None:
        """The job's resource, now CREATE IN_PROGRESS; None when nothing is left to do."""
        async with self.database.transaction() as connection:
            resource = await resources.lock_unfinished(connection, int(job.key))
            if resource is None:
                return None
            return await resources.in_account_of(connection, resource).update(
                resource, status=Status.IN_PROGRESS
            )

    async def _store_of(
        self,
        resource: Resource,
        *,
        reads: Sequence[tuple[Location, str]] = (),
        writes: Sequence[tuple[Location, str]] = (),
    ) -> TenantStore:
        """Return what a job may reach now; Permanent where that does not include its places any more.

        `reads` and `writes` are places with the wire's complaint about each.
        """
        store = await buckets.store_of(self.database, self.settings, resource)
        for location, complaint in reads:
            store.access.check_readable(location, complaint)
        for location, complaint in writes:
            store.access.check_writable(location, complaint)
        return store

    async def _compute(
        self,
        job: Job,
        kind: str,
        spec: Any,
        workspace: Path | None = None,
        store: TenantStore | None = None,
    ) -> dict[str, Any]:
        async def told(progress: dict[str, Any]) -> None:
            await job.report(**progress)

        if workspace is not None:
            result = await self._while_wanted(job, launcher.compute(kind, spec, workspace, told, store))
        else:
            with launcher.workspace(self.settings.work_folder, job) as made:
                result = await self._while_wanted(job, launcher.compute(kind, spec, made, told, store))
        for warning in result["warnings"]:
            log.warning("engine.warned", kind=job.kind, resource=job.key, warning=warning)
        await job.report(step="done", share=1.0, warnings=result["warnings"])
        return result

    async def _while_wanted(self, job: Job, computing: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        """Compute, but end that as soon as the job's resource was stopped or deleted."""
        work = asyncio.create_task(computing)
        watch = asyncio.create_task(self._until_unwanted(job.payload["resource"]))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Permanent("It was stopped.")
            return work.result()
        finally:
            work.cancel()
            watch.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    async def _until_unwanted(self, identifier: int) -> None:
        wanted = True
        while wanted:
            await asyncio.sleep(WANTED_SECONDS)
            with contextlib.suppress(*UNAVAILABLE):
                wanted = await resources.should_run(self.database, identifier)

    async def _done(self, resource: Resource, facts: dict[str, Any]) -> None:
        """The job's resource is ACTIVE, unless it was deleted meanwhile."""
        async with self.database.transaction() as connection:
            unfinished = await resources.lock_unfinished(connection, resource.id)
            if unfinished is not None:
                beside = resources.in_account_of(connection, unfinished)
                await beside.update(unfinished, status=Status.ACTIVE, facts=facts)

    async def _dataset_of(self, resource: Resource) -> tuple[Resource, Resource]:
        """The dataset that an import or export belongs to, and the dataset's schema."""
        beside = resources.in_account_of(self.database, resource)
        dataset = await beside.get(resource.parent or "")
        if dataset is None:
            raise Permanent("The dataset of this job was deleted.")
        schema = await beside.get(dataset.document["schemaArn"].split(":", 5)[5])
        if schema is None:
            raise Permanent("The schema of this job's dataset was deleted.")
        return dataset, schema

    async def _batch_places(self, resource: Resource) -> tuple[Location, Location, TenantStore]:
        """The input and the output of a batch job, and what the job may reach."""
        reads, writes = locations.INVALID_INPUT_PATH, locations.INVALID_OUTPUT_PATH
        document = resource.document
        source = locations.parse(document["jobInput"]["s3DataSource"]["path"], reads)
        output = locations.parse(document["jobOutput"]["s3DataDestination"]["path"], writes)
        store = await self._store_of(resource, reads=[(source, reads)], writes=[(output, writes)])
        return source, output, store

    async def _version_of(self, resource: Resource) -> Resource:
        version = await resources.in_account_of(self.database, resource).get(resource.parent or "")
        if version is None or version.status != Status.ACTIVE:
            raise Permanent("The solution version of this job was deleted.")
        return version
