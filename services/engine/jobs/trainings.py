"""Training jobs: of solution versions, of their models after new items, and of recommenders."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

from services.engine import metrics
from services.engine.computations.table import MODEL_TRAINING
from services.engine.computations.training_data import TrainingSpec
from services.engine.domain import schemas
from services.engine.domain.resources import Resource, Status, Type
from services.engine.domain.state import TrainingDocument, recipe_settings
from services.engine.jobs import group_datasets, received_rows
from services.engine.jobs.resource_job import Failure, ResourceJob
from services.engine.jobs.workspaces import workspace as make_workspace
from services.engine.personalize import campaigns, incremental_updates, recommender_trainings
from services.engine.store import deleted_users, resources
from services.engine.training.recipes import RECIPES
from shared import outbox
from shared.events.topics import CAMPAIGNS

if TYPE_CHECKING:
    from pathlib import Path

    from services.engine.computations.model_training import Trained
    from services.engine.store.resources import Resources
    from shared.events import CampaignChanged
    from shared.jobs import Job
    from shared.postgres import Connection


class Training(ResourceJob):
    """The job of a solution version."""

    async def run(self, job: Job) -> None:
        """Train a model and deploy it.

        Raises Permanent when there is too little data.
        """
        resource = await self._start(job)
        if resource is None:
            return
        with make_workspace(self.settings.work_folder, job) as workspace:
            await job.report(step="collect received events", share=0.0)
            spec = await self._spec(resource, workspace)
            trained = await self._compute(job, MODEL_TRAINING, spec, workspace)
        async with self.database.transaction() as connection:
            await self._finish(connection, resource, trained)
        metrics.TRAINING_SECONDS.labels(resource.facts["recipe"]).observe(trained.seconds)

    async def _spec(self, resource: Resource, workspace: Path) -> TrainingSpec:
        parts = await group_datasets.imported_objects(self.database, resource)
        columns = await group_datasets.dataset_schemas(self.database, resource)
        sessions = RECIPES[resource.facts["recipe"]].trains_sessions
        received = await received_rows.write_training_files(
            self.database, resource.owner, columns, workspace, sessions=sessions
        )
        warm_start = await self._warm_start(resource)
        interactions = columns.get("INTERACTIONS")
        context = None if interactions is None else schemas.metadata(interactions, "INTERACTIONS")
        return TrainingSpec(
            resource.facts["recipe"],
            recipe_settings(TrainingDocument.model_validate(resource.document)),
            parts,
            received,
            resource.facts["folder"],
            self.settings.strict,
            warm_start.facts["folder"] if warm_start else None,
            warm_start.facts["model_sha256"] if warm_start else None,
            await deleted_users.deletion_times(self.database, resource.owner),
            spark_master=self.settings.spark_master if self.settings.compute == "spark" else None,
            context=None if context is None else [column.name for column in context],
            counted=[column.name for column in context or () if column.categorical],
        )

    async def _warm_start(self, version: Resource) -> Resource | None:
        """Return the newest version of the solution, whose hyperparameters an UPDATE keeps; None for FULL."""
        if version.document["trainingMode"] == "FULL":
            return None
        store = resources.in_account_of(self.database, version)
        versions = await store.children(version.parent or "", Type.SOLUTION_VERSION)
        return next((each for each in versions if each.status == Status.ACTIVE), None)

    async def _finish(self, connection: Connection, resource: Resource, trained: Trained) -> None:
        store = resources.in_account_of(connection, resource)
        if self.locks_parent and resource.parent:
            await store.get(resource.parent, lock=True)
        unfinished = await resources.lock_unfinished(connection, resource.id)
        if unfinished is None:
            return
        bucket = self.settings.s3.endcap_data_bucket
        version = await store.update(
            unfinished,
            status=Status.ACTIVE,
            document={"trainingHours": round(trained.seconds / 3600, 6)},
            facts={**asdict(trained), "model_uri": f"s3://{bucket}/{unfinished.facts['folder']}"},
        )
        await outbox.append(connection, CAMPAIGNS, await self._deploy(store, version))

    async def _deploy(self, store: Resources, version: Resource) -> list[CampaignChanged]:
        return await campaigns.deploy_to_followers(store, version)

    async def _clean_up(self, failure: Failure) -> None:
        """Discard the model folder."""
        await failure.store.discard(failure.resource.facts["folder"], self.settings.garbage_hours)


class IncrementalUpdate(Training):
    """The training of a solution version's model after new items."""

    locks_parent: ClassVar[bool] = True

    async def _deploy(self, store: Resources, version: Resource) -> list[CampaignChanged]:
        return await incremental_updates.deploy(store, version, self.settings.garbage_hours)


class RecommenderTraining(Training):
    """The training of a recommender."""

    locks_parent: ClassVar[bool] = True

    async def _start(self, job: Job) -> Resource | None:
        resource = await super()._start(job)
        if resource is not None:
            async with self.database.transaction() as connection:
                store = resources.in_account_of(connection, resource)
                await recommender_trainings.mark_in_progress(store, resource)
        return resource

    async def _deploy(self, store: Resources, version: Resource) -> list[CampaignChanged]:
        return await recommender_trainings.deploy(store, version, self.settings.garbage_hours)

    async def _clean_up(self, failure: Failure) -> None:
        """Discard the model folder, and show the reason on the recommender."""
        await super()._clean_up(failure)
        await recommender_trainings.mark_failed(failure.store, failure.resource, failure.sentence)
