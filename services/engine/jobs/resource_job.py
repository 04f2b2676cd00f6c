"""The base of jobs that belong to a resource of the control plane: start, compute in a child process, end.

A job takes its resource from CREATE PENDING to ACTIVE or CREATE FAILED. A job whose worker was killed starts
again in another worker; objects that the first attempt wrote are overwritten or discarded.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import structlog

from services.engine import metrics
from services.engine.computations import launcher
from services.engine.computations.computation import Computation, ResultT, SpecT
from services.engine.domain import locations
from services.engine.domain.resources import Status, resource_path
from services.engine.domain.state import (
    BatchInferenceJob,
    BatchSegmentJob,
    Dataset,
    JobState,
    ResourceState,
    Schema,
    SolutionVersion,
    Unreadable,
)
from services.engine.jobs.workspaces import workspace as make_workspace
from services.engine.store import buckets, resources
from services.engine.store.rows import State
from shared.errors import Permanent
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from pathlib import Path

    from services.engine.domain.locations import Location
    from services.engine.settings import Settings
    from services.engine.store.buckets import TenantStore
    from services.engine.store.resources import Resources
    from shared.jobs import Job
    from shared.postgres import Connection, Database

STOP_CHECK_SECONDS = 1.0
"""Interval in which a computation checks whether its resource was stopped or deleted."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failure(Generic[State]):
    """A job that has failed: its resource, with the transaction that sets its status, and the reason."""

    connection: Connection
    store: Resources
    resource: State
    sentence: str


@dataclass(frozen=True, slots=True)
class ResourceJob(ABC, Generic[State]):
    """A kind of job, for one type of resource.

    Only its computations, in child processes, access the object store.
    """

    locks_parent: ClassVar[bool] = False
    """True to lock the parent before the job's resource, in the order of the operations that lock both."""

    database: Database
    settings: Settings

    @property
    @abstractmethod
    def resource_type(self) -> type[State]:
        """Return the type of the job's resource."""

    @abstractmethod
    async def run(self, job: Job) -> None:
        """Do the work of a job; see `shared.jobs` for the exceptions that it may raise."""

    async def failed(self, job: Job, sentence: str) -> None:
        """Set the job's resource to CREATE FAILED with a reason, and clean up after the job."""
        async with self.database.transaction() as connection:
            resource = await resources.by_id(connection, int(job.key))
            if resource is None:
                return
            store = resources.in_account_of(connection, resource)
            if self.locks_parent and resource.parent:
                await store.get(resource.parent, lock=True)
            unfinished = await resources.lock_unfinished(connection, int(job.key))
            if unfinished is None:
                return
            await store.set_status(unfinished, Status.FAILED, sentence)
            try:
                failed = self.resource_type.of(unfinished)
            except Unreadable as error:
                log.error("engine.unreadable_resource", resource=unfinished.arn, reason=str(error))  # noqa: TRY400
            else:
                await self._clean_up(Failure(connection, store, failed, sentence))
        metrics.FAILED_JOBS.labels(job.kind).inc()

    async def _clean_up(self, failure: Failure[State]) -> None:  # noqa: ARG002 - a hook that few kinds of job need
        """Clean up after a failed job, in the transaction that sets its status."""
        return

    async def _start(self, job: Job) -> State | None:
        """Set the job's resource to CREATE IN_PROGRESS and return it; None when it has ended or is gone.

        Raises Unreadable, which is Permanent, when its row cannot be parsed.
        """
        async with self.database.transaction() as connection:
            resource = await resources.load_unfinished(connection, self.resource_type, int(job.key))
            if resource is None:
                return None
            store = resources.in_account_of(connection, resource)
            return await store.save(resource, status=Status.IN_PROGRESS)

    async def _authorize(
        self,
        resource: JobState,
        *,
        reads: Sequence[tuple[Location, str]] = (),
        writes: Sequence[tuple[Location, str]] = (),
    ) -> TenantStore:
        """Return what the tenant of a job may access now.

        `reads` and `writes` are locations, each with the beginning of Amazon Personalize's error message.
        Raise Permanent when the tenant may not, or no longer, access one of them.
        """
        tenant_store = await buckets.store_of(self.database, self.settings, resource)
        for location, error_prefix in reads:
            tenant_store.access.check_readable(location, error_prefix)
        for location, error_prefix in writes:
            tenant_store.access.check_writable(location, error_prefix)
        return tenant_store

    async def _compute(
        self,
        job: Job,
        computation: Computation[SpecT, ResultT],
        spec: SpecT,
        workspace: Path | None = None,
        tenant_store: TenantStore | None = None,
    ) -> ResultT:
        """Run a computation, report its progress and its warnings, and return its result.

        Without a `workspace` one is made for it. Raises Permanent when the job's resource is stopped or
        deleted meanwhile, and what the computation raises.
        """

        async def on_progress(progress: dict[str, Any]) -> None:
            await job.report(**progress)

        with contextlib.ExitStack() as stack:
            if workspace is None:
                workspace = stack.enter_context(make_workspace(self.settings.work_folder, job))
            running = launcher.run(
                computation, spec, workspace, on_progress, tenant_store, self.settings.job_memory_mib
            )
            result = await self._run_until_stopped(job, running)
        for warning in result.warnings:
            log.warning("engine.warned", kind=job.kind, resource=job.key, warning=warning)
        await job.report(step="done", share=1.0, warnings=result.warnings)
        return result

    async def _run_until_stopped(self, job: Job, running: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Await a computation, but cancel it as soon as the job's resource is stopped or deleted."""
        work = asyncio.create_task(running)
        watch = asyncio.create_task(self._wait_for_stop(job.payload["resource"]))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Permanent("It was stopped.")
            return work.result()
        finally:
            work.cancel()
            watch.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    async def _wait_for_stop(self, resource_id: int) -> None:
        should_run = True
        while should_run:
            await asyncio.sleep(STOP_CHECK_SECONDS)
            with contextlib.suppress(*UNAVAILABLE):
                should_run = await resources.should_run(self.database, resource_id)

    async def _complete(self, resource: State, facts: Mapping[str, Any]) -> None:
        """Set the job's resource to ACTIVE with additional facts, unless it was deleted meanwhile."""
        async with self.database.transaction() as connection:
            unfinished = await resources.load_unfinished(connection, self.resource_type, resource.id)
            if unfinished is not None:
                store = resources.in_account_of(connection, unfinished)
                await store.save(unfinished, status=Status.ACTIVE, facts=unfinished.facts.merged(facts))

    async def _dataset_and_schema(self, resource: ResourceState) -> tuple[Dataset, Schema]:
        """Return the dataset that an import or export belongs to, and its schema; Permanent when deleted."""
        store = resources.in_account_of(self.database, resource)
        dataset = await store.load(Dataset, resource.parent or "")
        if dataset is None:
            raise Permanent("The dataset of this job was deleted.")
        schema = await store.load(Schema, resource_path(dataset.document.schema_arn))
        if schema is None:
            raise Permanent("The schema of this job's dataset was deleted.")
        return dataset, schema

    async def _batch_locations(
        self, resource: BatchInferenceJob | BatchSegmentJob
    ) -> tuple[Location, Location, TenantStore]:
        """Return the input and the output of a batch job, and what its tenant may access."""
        invalid_input, invalid_output = locations.INVALID_INPUT_PATH, locations.INVALID_OUTPUT_PATH
        document = resource.document
        source = locations.parse(document.job_input.s3_data_source.path, invalid_input)
        output = locations.parse(document.job_output.s3_data_destination.path, invalid_output)
        tenant_store = await self._authorize(
            resource, reads=[(source, invalid_input)], writes=[(output, invalid_output)]
        )
        return source, output, tenant_store

    async def _solution_version(self, resource: ResourceState) -> SolutionVersion:
        """Return the solution version of a batch job; Permanent when it was deleted."""
        store = resources.in_account_of(self.database, resource)
        version = await store.load(SolutionVersion, resource.parent or "")
        if version is None or version.status != Status.ACTIVE:
            raise Permanent("The solution version of this job was deleted.")
        return version
