"""Jobs of deletions: the users are left out at once, then their rows leave what was imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from services.engine import metrics
from services.engine.domain import locations
from services.engine.domain.resources import Resource, Status, Type
from services.engine.store import datasets, deletions, resources
from services.engine.worker import child, erasing, importing
from services.engine.worker.runner import Runner

if TYPE_CHECKING:
    from shared.jobs import Job
    from shared.postgres import Connection, Database

_USERS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Deletions(Runner):
    """The job of a data deletion job."""

    async def data_deletion(self, job: Job) -> None:
        """Delete users. Imports that end meanwhile are looked through too, before the job ends."""
        resource = await self._begun(job)
        if resource is None:
            return
        source = locations.parse(resource.document["dataSource"]["dataLocation"], importing.INVALID_LOCATION)
        done: dict[str, dict[str, Any]] = {}
        recorded = finished = False
        with child.workspace(self.settings.work_folder, job) as workspace:
            while not finished:
                parts = await _parts(self.database, resource)
                written = locations.deletion_prefix(resource.owner, resource.id, job.attempt)
                folder = f"{written}{len(done)}/"
                missing = [part.key for some in parts.values() for part in some if part.key not in done]
                spec = erasing.Spec(source.bucket, source.key, missing, folder)
                result = await self._compute(job, "deletion", spec, workspace)
                done |= {part["key"]: part for part in result["parts"]}
                if not recorded:
                    await self._record(job, resource, workspace / erasing.USERS_FILE)
                    recorded = True
                async with self.database.transaction() as connection:
                    finished = await self._finish(connection, job, resource, done)
        metrics.DELETED_USERS.inc(result["users"])

    async def _record(self, job: Job, resource: Resource, path: Path) -> None:
        """Leave the users out from now on; count their received rows when that was not done before."""
        if "received" not in job.progress:
            received = 0
            for users in _some(path):
                received += await deletions.count_received(self.database, resource.owner, users)
            await job.report(received=received)
        for users in _some(path):
            await deletions.delete(self.database, resource.owner, users)

    async def _finish(
        self, connection: Connection, job: Job, resource: Resource, done: dict[str, dict[str, Any]]
    ) -> bool:
        """Put the new parts in their places; False when a part is there that was not looked through."""
        beside = resources.beside(connection, resource)
        for dataset in await _datasets(connection, resource):
            # The datasets first, as everything locks them that changes their parts.
            await beside.get(dataset.path, lock=True)
        parts = await _parts(connection, resource)
        if any(part.key not in done for some in parts.values() for part in some):
            return False
        unfinished = await resources.unfinished(connection, resource.id)
        if unfinished is None:
            return True
        deleted = int(job.progress["received"])
        unused = {said["fresh"] for said in done.values() if said["removed"]}
        for identifier, some in parts.items():
            for part in some:
                said = done[part.key]
                deleted += said["removed"]
                if said["removed"]:
                    fresh = datasets.Part(said["fresh"], said["rows"], said["bytes"])
                    await deletions.replace_part(connection, identifier, part.key, fresh)
                    unused ^= {said["fresh"], part.key}
        unused |= {
            locations.deletion_prefix(resource.owner, resource.id, died) for died in range(1, job.attempt)
        }
        for prefix in unused:
            await beside.discard(prefix, self.settings.garbage_hours)
        await beside.update(unfinished, status=Status.ACTIVE, document={"numDeleted": deleted})
        return True


async def _datasets(connection: Connection | Database, resource: Resource) -> list[Resource]:
    """The datasets of the group that have users, in the order in which they are locked."""
    found = await resources.beside(connection, resource).children(resource.parent or "", Type.DATASET)
    of_users = [dataset for dataset in found if dataset.document["datasetType"] != "ITEMS"]
    return sorted(of_users, key=lambda dataset: dataset.id)


async def _parts(connection: Connection | Database, resource: Resource) -> dict[int, list[datasets.Part]]:
    """The objects of each of these datasets, by the dataset's id."""
    found = await _datasets(connection, resource)
    return {dataset.id: await datasets.parts(connection, dataset.id) for dataset in found}


def _some(path: Path) -> Iterator[list[str]]:
    for batch in pq.ParquetFile(path).iter_batches(_USERS_AT_ONCE):
        users: list[Any] = batch.column("USER_ID").to_pylist()
        yield users
