"""The jobs: each takes a resource from CREATE PENDING to ACTIVE or CREATE FAILED, and leaves none between.

The heavy part of each runs in a process of its own (see `computation`). A job whose worker was killed is
begun anew by another one; what the first attempt has written is overwritten or discarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.engine import metrics
from services.engine.computations import batch_inference, dataset_import, launcher, model_training
from services.engine.domain import locations, schemas
from services.engine.domain.resources import Resource, Status, Type
from services.engine.domain.state import TrainingDocument, recipe_settings
from services.engine.jobs import metric_attributions, received_rows
from services.engine.jobs.batch_segments import Segments
from services.engine.jobs.data_deletions import Deletions
from services.engine.jobs.dataset_exports import Exports
from services.engine.jobs.metric_attributions import Attributions
from services.engine.jobs.resource_job import Runner
from services.engine.personalize import campaigns, incremental_updates, recommender_trainings
from services.engine.store import datasets, deleted_users, resources
from services.engine.training.recipes import RECIPES
from shared import jobs, outbox
from shared.errors import Permanent
from shared.events.topics import CAMPAIGNS

if TYPE_CHECKING:
    from shared.jobs import Handler, Job
    from shared.postgres import Connection

# What is locked before its job's own resource, as the operations lock the two.
_PARENT_FIRST = (Type.DATASET_IMPORT_JOB, Type.RECOMMENDER_TRAINING, Type.MODEL_RENEWAL)
_TRAININGS = (Type.SOLUTION_VERSION, Type.RECOMMENDER_TRAINING, Type.MODEL_RENEWAL)


@dataclass(frozen=True, slots=True)
class Work(Runner):
    """The jobs of the engine."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The job of each type of resource."""
        return {
            Type.DATASET_IMPORT_JOB.value: self.dataset_import,
            Type.SOLUTION_VERSION.value: self.training,
            Type.RECOMMENDER_TRAINING.value: self.training,
            Type.MODEL_RENEWAL.value: self.training,
            Type.BATCH_INFERENCE_JOB.value: self.batch_inference,
            Type.DATASET_EXPORT_JOB.value: Exports(self.database, self.settings).dataset_export,
            Type.DATA_DELETION_JOB.value: Deletions(self.database, self.settings).data_deletion,
            metric_attributions.KIND: Attributions(self.database, self.settings).count,
            Type.BATCH_SEGMENT_JOB.value: Segments(self.database, self.settings).batch_segment,
        }

    async def dataset_import(self, job: Job) -> None:
        """Import CSV files into a dataset."""
        resource = await self._begun(job)
        if resource is None:
            return
        document = resource.document
        dataset, schema = await self._dataset_of(resource)
        if document["importMode"] == "INCREMENTAL" and not await datasets.parts(self.database, dataset.id):
            raise Permanent("The dataset holds no rows of a FULL import; make one before an INCREMENTAL one.")
        source = locations.parse(document["dataSource"]["dataLocation"], dataset_import.INVALID_LOCATION)
        store = await self._store_of(resource, reads=[(source, dataset_import.INVALID_LOCATION)])
        kind = dataset.document["datasetType"]
        # A folder per attempt: what a killed attempt has written is never mistaken for ours.
        folder = f"{locations.dataset_prefix(resource.owner, kind, resource.id)}{job.attempt}/"
        spec = dataset_import.Spec(
            source.bucket,
            source.key,
            schema.document["schema"],
            kind,
            document["importMode"],
            folder,
            self.settings.strict,
            self.settings.max_import_bytes,
            self.settings.max_import_rows,
        )
        result = await self._compute(job, "import", spec, store=store)
        parts = [datasets.Part(**part) for part in result["parts"]]
        async with self.database.transaction() as connection:
            await self._finish_import(connection, resource, parts, result, folder)
        metrics.IMPORTED_ROWS.labels(kind).inc(sum(part.rows for part in parts))
        metrics.NULL_CELLS.labels(kind).inc(sum(result["null_cells"].values()))

    async def training(self, job: Job) -> None:
        """Train a solution version, or its model anew, or a recommender."""
        resource = await self._begun(job)
        if resource is None:
            return
        if resource.type is Type.RECOMMENDER_TRAINING:
            async with self.database.transaction() as connection:
                await recommender_trainings.mark_in_progress(
                    resources.in_account_of(connection, resource), resource
                )
        with launcher.workspace(self.settings.work_folder, job) as workspace:
            await job.report(step="collect received events", share=0.0)
            parts, columns = await self._datasets_of(resource)
            sessions = RECIPES[resource.facts["recipe"]].trains_sessions
            received = await received_rows.collect(
                self.database, resource.owner, columns, workspace, sessions=sessions
            )
            like = await self._taken_over(resource)
            document = resource.document
            interactions = columns.get("INTERACTIONS")
            context = None if interactions is None else schemas.metadata(interactions, "INTERACTIONS")
            spec = model_training.Spec(
                resource.facts["recipe"],
                recipe_settings(TrainingDocument.model_validate(document)),
                parts,
                received,
                resource.facts["folder"],
                self.settings.strict,
                like.facts["folder"] if like else None,
                like.facts["model_sha256"] if like else None,
                await deleted_users.deletion_times(self.database, resource.owner),
                spark_master=self._spark_master,
                context=None if context is None else [column.name for column in context],
                counted=[column.name for column in context or () if column.categorical],
            )
            result = await self._compute(job, "training", spec, workspace)
        async with self.database.transaction() as connection:
            await self._finish_training(connection, resource, result)
        metrics.TRAINING_SECONDS.labels(resource.facts["recipe"]).observe(result["seconds"])

    async def batch_inference(self, job: Job) -> None:
        """Answer the lines of a batch inference job."""
        resource = await self._begun(job)
        if resource is None:
            return
        version = await self._version_of(resource)
        document = resource.document
        source, output, store = await self._batch_places(resource)
        config = document.get("batchInferenceJobConfig", {})
        spec = batch_inference.Spec(
            version.facts["folder"],
            version.facts["model_sha256"],
            source.bucket,
            source.key,
            output.bucket,
            output.key,
            document["numResults"],
            resource.facts.get("filter"),
            await self._later(version),
            config.get("rankingInfluence", {}),
            ranks=RECIPES[version.facts["recipe"]].ranks,
            exploration=config.get("itemExplorationConfig", {}),
            seed=resource.id,
            spark_master=self._spark_master,
        )
        result = await self._compute(job, "inference", spec, store=store)
        await self._done(resource, result)
        metrics.INFERRED_LINES.inc(result["lines"])

    @property
    def _spark_master(self) -> str | None:
        return self.settings.spark_master if self.settings.compute == "spark" else None

    async def _later(self, version: Resource) -> list[str]:
        """The objects with interactions that were imported after the version was trained."""
        trained = version.facts.get("imported")
        parts, _ = await self._datasets_of(version)
        return [] if trained is None else [key for key in parts.get("INTERACTIONS", []) if key not in trained]

    async def failed(self, job: Job, sentence: str) -> None:
        """Say why a job came to nothing; the next import of the same dataset may begin."""
        if job.kind == metric_attributions.KIND:
            await Attributions(self.database, self.settings).failed(job, sentence)
            return
        async with self.database.transaction() as connection:
            resource = await resources.by_id(connection, int(job.key))
            if resource is None:
                return
            beside = resources.in_account_of(connection, resource)
            if resource.type in _PARENT_FIRST and resource.parent:
                await beside.get(resource.parent, lock=True)
            resource = await resources.lock_unfinished(connection, int(job.key))
            if resource is None:
                return
            await beside.update(resource, status=Status.FAILED, failure_reason=sentence)
            await self._discard_unfinished(beside, resource)
            if resource.type is Type.DATASET_IMPORT_JOB:
                await _queue_next_import(connection, resource)
            if resource.type is Type.RECOMMENDER_TRAINING:
                await recommender_trainings.mark_failed(beside, resource, sentence)
        metrics.FAILED_JOBS.labels(job.kind).inc()

    async def _discard_unfinished(self, beside: resources.Resources, failed: Resource) -> None:
        """Have what a failed job has written cleared away, if it came as far as that."""
        if failed.type in _TRAININGS:
            await beside.discard(failed.facts["folder"], self.settings.garbage_hours)
        elif failed.type is Type.DATASET_IMPORT_JOB and (dataset := await beside.get(failed.parent or "")):
            written = locations.dataset_prefix(failed.owner, dataset.document["datasetType"], failed.id)
            await beside.discard(written, self.settings.garbage_hours)
        elif failed.type is Type.DATA_DELETION_JOB and not failed.facts.get("rows_erased"):
            written = locations.deletion_prefix(failed.owner, failed.id)
            await beside.discard(written, self.settings.garbage_hours)

    async def _datasets_of(self, version: Resource) -> tuple[dict[str, list[str]], dict[str, schemas.Schema]]:
        """The keys of the objects that the group's datasets consist of, and their schemas, both by type."""
        beside = resources.in_account_of(self.database, version)
        group = version.document["datasetGroupArn"].split(":", 5)[5]
        parts, columns = {}, {}
        for dataset in await beside.children(group, Type.DATASET):
            kind = dataset.document["datasetType"]
            parts[kind] = [part.key for part in await datasets.parts(self.database, dataset.id)]
            schema = await beside.get(dataset.document["schemaArn"].split(":", 5)[5])
            if schema is not None:
                columns[kind] = schemas.parse(schema.document["schema"])
        return parts, columns

    async def _taken_over(self, version: Resource) -> Resource | None:
        """The newest version of the same solution, whose choices an UPDATE takes over; None for FULL."""
        if version.document["trainingMode"] == "FULL":
            return None
        beside = resources.in_account_of(self.database, version)
        others = await beside.children(version.parent or "", Type.SOLUTION_VERSION)
        return next((other for other in others if other.status == Status.ACTIVE), None)

    async def _finish_import(
        self,
        connection: Connection,
        resource: Resource,
        parts: list[datasets.Part],
        result: dict[str, Any],
        folder: str,
    ) -> None:
        # The dataset first, as everything locks it that makes or ends an import.
        beside = resources.in_account_of(connection, resource)
        dataset = await beside.get(resource.parent or "", lock=True)
        unfinished = await resources.lock_unfinished(connection, resource.id)
        if dataset is None or unfinished is None:
            await beside.discard(folder, 0.0)
            return
        replacing = resource.document["importMode"] == "FULL"
        dropped = await datasets.add_parts(connection, dataset.id, resource.id, parts, replacing=replacing)
        for old in locations.unused_prefixes(resource.owner, dropped) - {folder}:
            await beside.discard(old, self.settings.garbage_hours)
        of_import, _, attempt = folder.rstrip("/").rpartition("/")
        for died in range(1, int(attempt)):
            await beside.discard(f"{of_import}/{died}/", self.settings.garbage_hours)
        facts = {"folders": [folder], "rows": sum(part.rows for part in parts)}
        facts |= {"warnings": result["warnings"], "null_cells": result.get("null_cells", {})}
        await beside.update(unfinished, status=Status.ACTIVE, facts=facts)
        if unfinished.document.get("publishAttributionMetricsToS3") and dataset.parent:
            keys = [part.key for part in parts] if dataset.document["datasetType"] == "INTERACTIONS" else []
            await metric_attributions.publish_import(connection, unfinished, dataset.parent, keys)
        await _queue_next_import(connection, unfinished)

    async def _finish_training(
        self, connection: Connection, resource: Resource, result: dict[str, Any]
    ) -> None:
        beside = resources.in_account_of(connection, resource)
        if resource.type in _PARENT_FIRST and resource.parent:
            await beside.get(resource.parent, lock=True)
        unfinished = await resources.lock_unfinished(connection, resource.id)
        if unfinished is None:
            return
        bucket = self.settings.s3.endcap_data_bucket
        version = await beside.update(
            unfinished,
            status=Status.ACTIVE,
            document={"trainingHours": round(result["seconds"] / 3600, 6)},
            facts={**result, "model_uri": f"s3://{bucket}/{unfinished.facts['folder']}"},
        )
        hours = self.settings.garbage_hours
        if version.type is Type.MODEL_RENEWAL:
            events = await incremental_updates.deploy(beside, version, hours)
        elif version.type is Type.RECOMMENDER_TRAINING:
            events = await recommender_trainings.deploy(beside, version, hours)
        else:
            events = await campaigns.deploy_to_followers(beside, version)
        await outbox.append(connection, CAMPAIGNS, events)


async def _queue_next_import(connection: Connection, ended: Resource) -> None:
    """Queue the oldest import of the same dataset that still waits."""
    store = resources.in_account_of(connection, ended)
    siblings = await store.children(ended.parent or "", Type.DATASET_IMPORT_JOB)
    waiting = [other for other in siblings if other.status == Status.PENDING and other.id != ended.id]
    if waiting:
        oldest = min(waiting, key=lambda other: other.id)
        kind = Type.DATASET_IMPORT_JOB.value
        await jobs.enqueue(connection, kind, str(oldest.id), {"resource": oldest.id}, tenant=oldest.owner)
