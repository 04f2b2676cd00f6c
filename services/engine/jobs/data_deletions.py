"""Data deletion jobs: delete users from imports, from models, and from every other service.

The steps are: exclude the users from trainings and request their erasure from every service; wait until every
service has confirmed; rewrite the imported parts without the users, then the models. A retry continues after
the last step that an earlier attempt has finished.

See docs/decisions/0035-erasure-and-retention.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.engine import metrics
from services.engine.computations import dataset_import, model_deletion, row_deletion
from services.engine.computations.row_deletion import USERS_FILE
from services.engine.computations.table import MODEL_DELETION, ROW_DELETION
from services.engine.domain import locations
from services.engine.domain.resources import Status
from services.engine.domain.state import DataDeletionJob, Dataset
from services.engine.jobs.resource_job import Failure, ResourceJob
from services.engine.jobs.workspaces import workspace as make_workspace
from services.engine.personalize import trained_models
from services.engine.store import datasets, deleted_users, erasures, resources
from shared import outbox
from shared.errors import Transient
from shared.events.topics import CAMPAIGNS

if TYPE_CHECKING:
    from services.engine.computations.row_deletion import PartResult
    from services.engine.store.resources import Resources
    from shared.jobs import Job
    from shared.postgres import Connection, Database

_USERS_PER_STATEMENT = 1_000
_GRACE_HOURS = 1.0
"""Time that replaced parts and models stay: a training, a batch or a recommender may be reading them."""

_POLL_SECONDS = 0.5
_WAIT_SECONDS = 60.0
"""Time that one attempt waits for other services; the job is then retried for an hour."""


class DataDeletion(ResourceJob[DataDeletionJob]):
    """The job of a data deletion job."""

    @property
    def resource_type(self) -> type[DataDeletionJob]:
        """Return the type of the job's resource."""
        return DataDeletionJob

    async def run(self, job: Job) -> None:
        """Delete users, also from imports and trainings that end while the job runs.

        Raises Transient when other services or trainings take too long.
        """
        resource = await self._start(job)
        if resource is None:
            return
        if "users" not in job.progress:
            await self._request_erasure(job, resource)
        # The trainer confirms when no run is left that has read the users: its imports have ended then.
        await self._wait_for_services(job, resource)
        if not resource.facts.rows_erased:
            await self._delete_rows(job, resource)
        await self._delete_from_models(job, resource)
        await self._finish(resource)
        metrics.DELETED_USERS.inc(job.progress["users"])

    async def _request_erasure(self, job: Job, resource: DataDeletionJob) -> None:
        """Exclude the users from now on, request their erasure, and count their received rows, once."""
        with make_workspace(self.settings.work_folder, job) as workspace:
            path = workspace / USERS_FILE
            if resource.facts.users is None:
                invalid = dataset_import.INVALID_LOCATION
                source = locations.parse(resource.document.data_source.data_location or "", invalid)
                tenant_store = await self._authorize(resource, reads=[(source, invalid)])
                spec = row_deletion.Spec((source.bucket, source.key), [], "")
                count = (await self._compute(job, ROW_DELETION, spec, workspace, tenant_store)).users
            else:
                count = _write_ids(path, resource.facts.users)
            if "received" not in job.progress:
                received = 0
                for users in _chunks(path):
                    received += await deleted_users.count_received(self.database, resource.owner, users)
                await job.report(received=received)
            for users in _chunks(path):
                async with self.database.transaction() as connection:
                    requested = await erasures.request(connection, resource.id, resource.owner, users)
                    await deleted_users.delete(connection, resource.owner, requested)
        await job.report(users=count)

    async def _delete_rows(self, job: Job, resource: DataDeletionJob) -> None:
        """Rewrite the imported parts that have rows of the users, until no unread part is left."""
        results: dict[str, PartResult] = {}
        is_complete = False
        with make_workspace(self.settings.work_folder, job) as workspace:
            await self._write_users(resource, workspace)
            while not is_complete:
                parts = await _parts(self.database, resource)
                prefix = locations.deletion_prefix(resource.owner, resource.id, job.attempt)
                unread = [part.key for part in _flat(parts) if part.key not in results]
                spec = row_deletion.Spec(None, unread, f"{prefix}{len(results)}/")
                result = await self._compute(job, ROW_DELETION, spec, workspace)
                results |= {part.key: part for part in result.parts}
                async with self.database.transaction() as connection:
                    is_complete = await self._replace_parts(connection, job, resource, results)

    async def _write_users(self, resource: DataDeletionJob, workspace: Path) -> None:
        """Write the ids of the job's users to the workspace, for computations."""
        _write_ids(workspace / USERS_FILE, await erasures.users_of(self.database, resource.id))

    async def _replace_parts(
        self, connection: Connection, job: Job, resource: DataDeletionJob, results: dict[str, PartResult]
    ) -> bool:
        """Replace the parts that had rows of the users; return False if there is a part without a result."""
        store = resources.in_account_of(connection, resource)
        for dataset in await _datasets(connection, resource):
            # The datasets first: every transaction that changes parts locks them first.
            await store.get(dataset.path, lock=True)
        parts = await _parts(connection, resource)
        if any(part.key not in results for part in _flat(parts)):
            return False
        unfinished = await resources.load_unfinished(connection, DataDeletionJob, resource.id)
        if unfinished is None:
            return True
        deleted = int(job.progress["received"])
        unused = {result.new_key for result in results.values() if result.removed}
        for dataset_id, dataset_parts in parts.items():
            for part in dataset_parts:
                result = results[part.key]
                deleted += result.removed
                if result.removed:
                    new_part = datasets.Part(result.new_key, result.rows, result.bytes)
                    await deleted_users.replace_part(connection, dataset_id, part.key, new_part)
                    unused ^= {result.new_key, part.key}
        await self._discard(store, resource, job, unused)
        # In the transaction that replaces the parts: a later attempt must not discard them as unused.
        facts = unfinished.facts.merged({"rows_erased": True, "deleted": deleted})
        await store.save(unfinished, facts=facts)
        return True

    async def _discard(self, store: Resources, resource: DataDeletionJob, job: Job, unused: set[str]) -> None:
        """Discard unused parts, and those that earlier attempts have written."""
        earlier = {
            locations.deletion_prefix(resource.owner, resource.id, attempt)
            for attempt in range(1, job.attempt)
        }
        for prefix in unused | earlier:
            await store.discard(prefix, min(_GRACE_HOURS, self.settings.garbage_hours))

    async def _delete_from_models(self, job: Job, resource: DataDeletionJob) -> None:
        """Rewrite the models that know the users, including those of trainings that are running."""
        trainings = job.progress.get("trainings")
        if trainings is None:
            trainings = await trained_models.list_running_trainings(self.database, resource)
            await job.report(trainings=trainings)
        await _wait_until_none(lambda: trained_models.still_running(self.database, trainings), "trainings")
        with make_workspace(self.settings.work_folder, job) as workspace:
            await self._write_users(resource, workspace)
            models = await trained_models.list_models(self.database, resource)
            spec = model_deletion.Spec(
                [(model.folder, model.sha256, model.folder_without(resource.id)) for model in models]
            )
            rewritten = await self._compute(job, MODEL_DELETION, spec, workspace)
        for model, result in zip(models, rewritten.models, strict=True):
            if result.removed:
                replacement = trained_models.ReplacementModel(result.new_folder, result.sha256, result.users)
                await self._replace_model(resource, model, replacement)

    async def _replace_model(
        self,
        resource: DataDeletionJob,
        model: trained_models.TrainedModel,
        replacement: trained_models.ReplacementModel,
    ) -> None:
        """Replace a model, deploy its replacement, and count it, in one transaction."""
        bucket = self.settings.s3.endcap_data_bucket
        async with self.database.transaction() as connection:
            events = await trained_models.replace_model(
                connection, resource, model, replacement, bucket, _GRACE_HOURS
            )
            await outbox.append(connection, CAMPAIGNS, events)
            unfinished = await resources.load_unfinished(connection, DataDeletionJob, resource.id)
            if unfinished is not None:
                facts = unfinished.facts.merged({"models": (unfinished.facts.models or 0) + 1})
                await resources.in_account_of(connection, unfinished).set_facts(unfinished, facts)

    async def _wait_for_services(self, job: Job, resource: DataDeletionJob) -> None:
        """Wait until every service has confirmed the erasure of every user; Transient after a minute."""
        services = self.settings.erasure_services
        await job.report(step="wait for the services", share=0.9)

        async def unconfirmed() -> list[str]:
            counts = await erasures.unconfirmed(self.database, resource.id, services)
            return [f"{service} ({users} users)" for service, users in counts.items()]

        await _wait_until_none(unconfirmed, "confirmations")

    async def _finish(self, resource: DataDeletionJob) -> None:
        """Set the job to ACTIVE, with its receipt."""
        async with self.database.transaction() as connection:
            unfinished = await resources.load_unfinished(connection, DataDeletionJob, resource.id)
            await erasures.finish(connection, resource.id)
            if unfinished is None:
                return
            receipt = await erasures.receipt(connection, resource.id)
            await resources.in_account_of(connection, unfinished).save(
                unfinished,
                status=Status.ACTIVE,
                document=unfinished.document.merged({"num_deleted": unfinished.facts.deleted}),
                facts=unfinished.facts.merged({"receipt": receipt}),
            )

    async def _clean_up(self, failure: Failure[DataDeletionJob]) -> None:
        """Discard the parts that the job has written, unless they are part of the datasets already."""
        resource = failure.resource
        if not resource.facts.rows_erased:
            prefix = locations.deletion_prefix(resource.owner, resource.id)
            await failure.store.discard(prefix, self.settings.garbage_hours)


async def _wait_until_none(list_pending: Callable[[], Awaitable[Sequence[Any]]], description: str) -> None:
    """Poll until nothing is pending; Transient after a minute."""
    deadline = monotonic() + _WAIT_SECONDS
    while pending := await list_pending():
        if monotonic() > deadline:
            raise Transient(f"The deletion waits for {description}: {', '.join(map(str, pending))}.")
        await asyncio.sleep(_POLL_SECONDS)


async def _datasets(connection: Connection | Database, resource: DataDeletionJob) -> list[Dataset]:
    """Return the datasets of the group that have users, in the order in which they are locked."""
    store = resources.in_account_of(connection, resource)
    children = await store.list_children(Dataset, resource.parent or "")
    with_users = [dataset for dataset in children if dataset.document.dataset_type != "ITEMS"]
    return sorted(with_users, key=lambda dataset: dataset.id)


async def _parts(
    connection: Connection | Database, resource: DataDeletionJob
) -> dict[int, list[datasets.Part]]:
    """Return the parts of each dataset that has users, by the id of the dataset."""
    return {
        dataset.id: await datasets.parts(connection, dataset.id)
        for dataset in await _datasets(connection, resource)
    }


def _flat(parts: dict[int, list[datasets.Part]]) -> Iterator[datasets.Part]:
    for dataset_parts in parts.values():
        yield from dataset_parts


def _write_ids(path: Path, users: Sequence[str]) -> int:
    """Write a file of users for computations; return how many there are."""
    pq.write_table(pa.table({"USER_ID": pa.array(users, pa.string())}), path)
    return len(users)


def _chunks(path: Path) -> Iterator[list[str]]:
    """Yield the user ids of a file, a thousand at a time."""
    for batch in pq.ParquetFile(path).iter_batches(_USERS_PER_STATEMENT):
        users: list[Any] = batch.column("USER_ID").to_pylist()
        yield users
