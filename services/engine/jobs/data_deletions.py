"""Jobs of deletions: users leave imports, models, and every other service.

The steps: leave the users out of trainings and request their erasure of every service; wait until every
service has confirmed; write the imported parts anew without the users, and then the models. Each step finds
what an earlier attempt has done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.engine import metrics
from services.engine.computations import dataset_import, launcher, model_deletion, row_deletion
from services.engine.domain import locations
from services.engine.domain.resources import Resource, Status, Type
from services.engine.jobs.resource_job import Runner
from services.engine.personalize import trained_models
from services.engine.store import datasets, deleted_users, erasures, resources
from shared import outbox
from shared.errors import Transient
from shared.events.topics import CAMPAIGNS

if TYPE_CHECKING:
    from shared.jobs import Job
    from shared.postgres import Connection, Database

_USERS_AT_ONCE = 1_000
_GRACE_HOURS = 1.0
"""How long replaced parts and models stay, since a training, batch or recommender may be reading them."""
_LOOK_SECONDS = 0.5
_WAIT_SECONDS = 60.0
"""How long one attempt waits for other services; the job is then tried again for an hour."""


@dataclass(frozen=True, slots=True)
class Deletions(Runner):
    """The job of a data deletion job."""

    async def data_deletion(self, job: Job) -> None:
        """Delete users. Imports and trainings that end meanwhile are looked through too."""
        resource = await self._begun(job)
        if resource is None:
            return
        if "users" not in job.progress:
            await self._request(job, resource)
        # The trainer confirms when no run is left that has read the users before: its imports are then over.
        await self._await_services(job, resource)
        if not resource.facts.get("rows_erased"):
            await self._erase_rows(job, resource)
        await self._erase_from_models(job, resource)
        await self._complete(resource)
        metrics.DELETED_USERS.inc(job.progress["users"])

    async def _request(self, job: Job, resource: Resource) -> None:
        """Leave the users out from now on, request their erasure, and count their received rows, once."""
        source = locations.parse(
            resource.document["dataSource"]["dataLocation"], dataset_import.INVALID_LOCATION
        )
        store = await self._store_of(resource, reads=[(source, dataset_import.INVALID_LOCATION)])
        with launcher.workspace(self.settings.work_folder, job) as workspace:
            spec = row_deletion.Spec((source.bucket, source.key), [], "")
            result = await self._compute(job, "deletion", spec, workspace, store)
            path = workspace / row_deletion.USERS_FILE
            if "received" not in job.progress:
                received = 0
                for users in _some(path):
                    received += await deleted_users.count_received(self.database, resource.owner, users)
                await job.report(received=received)
            for users in _some(path):
                async with self.database.transaction() as connection:
                    requested = await erasures.request(connection, resource.id, resource.owner, users)
                    await deleted_users.delete(connection, resource.owner, requested)
        await job.report(users=result["users"])

    async def _erase_rows(self, job: Job, resource: Resource) -> None:
        """Write anew the parts of the imports that have rows of the users."""
        done: dict[str, dict[str, Any]] = {}
        finished = False
        with launcher.workspace(self.settings.work_folder, job) as workspace:
            await self._write_users(resource, workspace)
            while not finished:
                parts = await _parts(self.database, resource)
                written = locations.deletion_prefix(resource.owner, resource.id, job.attempt)
                folder = f"{written}{len(done)}/"
                missing = [part.key for some in parts.values() for part in some if part.key not in done]
                result = await self._compute(
                    job, "deletion", row_deletion.Spec(None, missing, folder), workspace
                )
                done |= {part["key"]: part for part in result["parts"]}
                async with self.database.transaction() as connection:
                    finished = await self._replace_parts(connection, job, resource, done)

    async def _write_users(self, resource: Resource, workspace: Path) -> None:
        """Leave the ids of the job's users where its computations look for them."""
        users = await erasures.users_of(self.database, resource.id)
        pq.write_table(
            pa.table({"USER_ID": pa.array(users, pa.string())}), workspace / row_deletion.USERS_FILE
        )

    async def _replace_parts(
        self, connection: Connection, job: Job, resource: Resource, done: dict[str, dict[str, Any]]
    ) -> bool:
        """Put the new parts in their places; False when a part is there that was not looked through."""
        beside = resources.in_account_of(connection, resource)
        for dataset in await _datasets(connection, resource):
            # The datasets first, as everything locks them that changes their parts.
            await beside.get(dataset.path, lock=True)
        parts = await _parts(connection, resource)
        if any(part.key not in done for some in parts.values() for part in some):
            return False
        unfinished = await resources.lock_unfinished(connection, resource.id)
        if unfinished is None:
            return True
        deleted = int(job.progress["received"])
        unused = {outcome["fresh"] for outcome in done.values() if outcome["removed"]}
        for identifier, some in parts.items():
            for part in some:
                outcome = done[part.key]
                deleted += outcome["removed"]
                if outcome["removed"]:
                    fresh = datasets.Part(outcome["fresh"], outcome["rows"], outcome["bytes"])
                    await deleted_users.replace_part(connection, identifier, part.key, fresh)
                    unused ^= {outcome["fresh"], part.key}
        unused |= {
            locations.deletion_prefix(resource.owner, resource.id, died) for died in range(1, job.attempt)
        }
        for prefix in unused:
            await beside.discard(prefix, min(_GRACE_HOURS, self.settings.garbage_hours))
        # In one transaction with the parts: no later attempt may take these parts for its own leftovers.
        await beside.update(unfinished, facts={"rows_erased": True, "deleted": deleted})
        return True

    async def _erase_from_models(self, job: Job, resource: Resource) -> None:
        """Write anew the models that know the users, those too that are being trained right now."""
        training = job.progress.get("trainings")
        if training is None:
            training = await trained_models.list_running_trainings(self.database, resource)
            await job.report(trainings=training)
        await self._wait_for(lambda: trained_models.still_running(self.database, training), "trainings")
        with launcher.workspace(self.settings.work_folder, job) as workspace:
            await self._write_users(resource, workspace)
            found = await trained_models.list_models(self.database, resource)
            spec = model_deletion.Spec(
                [(each.folder, each.sha256, each.folder_without(resource.id)) for each in found]
            )
            result = await self._compute(job, "forgetting", spec, workspace)
        for each, outcome in zip(found, result["models"], strict=True):
            if outcome["removed"]:
                fresh = trained_models.ReplacementModel(outcome["fresh"], outcome["sha256"], outcome["users"])
                await self._replace_model(resource, each, fresh)

    async def _replace_model(
        self, resource: Resource, old: trained_models.TrainedModel, fresh: trained_models.ReplacementModel
    ) -> None:
        """Put a model in the place of another, deploy it, and count it, in one transaction."""
        bucket = self.settings.s3.endcap_data_bucket
        async with self.database.transaction() as connection:
            events = await trained_models.replace_model(
                connection, resource, old, fresh, bucket, _GRACE_HOURS
            )
            await outbox.append(connection, CAMPAIGNS, events)
            unfinished = await resources.lock_unfinished(connection, resource.id)
            if unfinished is not None:
                count = unfinished.facts.get("models", 0) + 1
                await resources.in_account_of(connection, unfinished).set_facts(unfinished, models=count)

    async def _await_services(self, job: Job, resource: Resource) -> None:
        """Return when every service has confirmed every user; Transient when that takes too long."""
        services = self.settings.erasure_services
        await job.report(step="wait for the services", share=0.9)

        async def missing() -> list[str]:
            left = await erasures.unconfirmed(self.database, resource.id, services)
            return [f"{service} ({users} users)" for service, users in left.items()]

        await self._wait_for(missing, "confirmations")

    async def _wait_for(self, missing: Any, what: str) -> None:
        until = monotonic() + _WAIT_SECONDS
        while names := await missing():
            if monotonic() > until:
                raise Transient(f"The deletion waits for {what}: {', '.join(map(str, names))}.")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _complete(self, resource: Resource) -> None:
        """The job is COMPLETED, with its receipt."""
        async with self.database.transaction() as connection:
            unfinished = await resources.lock_unfinished(connection, resource.id)
            await erasures.finish(connection, resource.id)
            if unfinished is None:
                return
            receipt = await erasures.receipt(connection, resource.id)
            await resources.in_account_of(connection, unfinished).update(
                unfinished,
                status=Status.ACTIVE,
                document={"numDeleted": unfinished.facts["deleted"]},
                facts={"receipt": receipt},
            )


async def _datasets(connection: Connection | Database, resource: Resource) -> list[Resource]:
    """The datasets of the group that have users, in the order in which they are locked."""
    found = await resources.in_account_of(connection, resource).children(resource.parent or "", Type.DATASET)
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
