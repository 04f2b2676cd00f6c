"""Training jobs: of solution versions, of their models after new items, and of recommenders."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar, TypeVar

from services.engine import metrics
from services.engine.computations.table import MODEL_TRAINING
from services.engine.computations.training_data import TrainingSpec
from services.engine.domain import schemas, state
from services.engine.domain.resources import Status
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


TrainingState = TypeVar("TrainingState", bound=state.ModelTraining)


class ModelTraining(ResourceJob[TrainingState]):
    """A job that trains a model."""

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
        metrics.TRAINING_SECONDS.labels(resource.facts.recipe).observe(trained.seconds)

    async def _spec(self, resource: TrainingState, workspace: Path) -> TrainingSpec:
        parts = await group_datasets.imported_objects(self.database, resource)
        columns = await group_datasets.dataset_schemas(self.database, resource)
        sessions = RECIPES[resource.facts.recipe].trains_sessions
        received = await received_rows.write_training_files(
            self.database, resource.owner, columns, workspace, sessions=sessions
        )
        warm_start = await self._warm_start(resource)
        interactions = columns.get("INTERACTIONS")
        context = None if interactions is None else schemas.metadata(interactions, "INTERACTIONS")
        return TrainingSpec(
            resource.facts.recipe,
            state.training_config(resource.document),
            parts,
            received,
            resource.facts.folder,
            self.settings.strict,
            warm_start.facts.folder if warm_start else None,
            warm_start.facts.model_sha256 if warm_start else None,
            await deleted_users.deletion_times(self.database, resource.owner),
            spark_master=self.settings.spark_master if self.settings.compute == "spark" else None,
            context=None if context is None else [column.name for column in context],
            counted=[column.name for column in context or () if column.categorical],
        )

    async def _warm_start(self, version: TrainingState) -> state.SolutionVersion | None:
        """Return the newest version of the solution, whose hyperparameters an UPDATE keeps; None for FULL."""
        if version.document.training_mode == "FULL":
            return None
        store = resources.in_account_of(self.database, version)
        versions = await store.list_children(state.SolutionVersion, version.parent or "")
        return next((each for each in versions if each.status == Status.ACTIVE), None)

    async def _finish(self, connection: Connection, resource: TrainingState, trained: Trained) -> None:
        store = resources.in_account_of(connection, resource)
        if self.locks_parent and resource.parent:
            await store.get(resource.parent, lock=True)
        unfinished = await resources.load_unfinished(connection, self.resource_type, resource.id)
        if unfinished is None:
            return
        bucket = self.settings.s3.endcap_data_bucket
        uri = f"s3://{bucket}/{unfinished.facts.folder}"
        ended = await store.save(
            unfinished,
            status=Status.ACTIVE,
            document=unfinished.document.merged({"training_hours": round(trained.seconds / 3600, 6)}),
            facts=unfinished.facts.merged({**asdict(trained), "model_uri": uri}),
        )
        await outbox.append(connection, CAMPAIGNS, await self._deploy(store, ended))

    @abstractmethod
    async def _deploy(self, store: Resources, training: TrainingState) -> list[CampaignChanged]:
        """Deploy the model; return the events of what serves it now."""

    async def _clean_up(self, failure: Failure[TrainingState]) -> None:
        """Discard the model folder."""
        await failure.store.discard(failure.resource.facts.folder, self.settings.garbage_hours)


class Training(ModelTraining[state.SolutionVersion]):
    """The job of a solution version."""

    @property
    def resource_type(self) -> type[state.SolutionVersion]:
        """Return the type of the job's resource."""
        return state.SolutionVersion

    async def _deploy(self, store: Resources, training: state.SolutionVersion) -> list[CampaignChanged]:
        return await campaigns.deploy_to_followers(store, training)


class IncrementalUpdate(ModelTraining[state.ModelRenewal]):
    """The training of a solution version's model after new items."""

    locks_parent: ClassVar[bool] = True

    @property
    def resource_type(self) -> type[state.ModelRenewal]:
        """Return the type of the job's resource."""
        return state.ModelRenewal

    async def _deploy(self, store: Resources, training: state.ModelRenewal) -> list[CampaignChanged]:
        return await incremental_updates.deploy(store, training, self.settings.garbage_hours)


class RecommenderTraining(ModelTraining[state.RecommenderTraining]):
    """The training of a recommender."""

    locks_parent: ClassVar[bool] = True

    @property
    def resource_type(self) -> type[state.RecommenderTraining]:
        """Return the type of the job's resource."""
        return state.RecommenderTraining

    async def _start(self, job: Job) -> state.RecommenderTraining | None:
        resource = await super()._start(job)
        if resource is not None:
            async with self.database.transaction() as connection:
                store = resources.in_account_of(connection, resource)
                await recommender_trainings.mark_in_progress(store, resource)
        return resource

    async def _deploy(self, store: Resources, training: state.RecommenderTraining) -> list[CampaignChanged]:
        return await recommender_trainings.deploy(store, training, self.settings.garbage_hours)

    async def _clean_up(self, failure: Failure[state.RecommenderTraining]) -> None:
        """Discard the model folder, and show the reason on the recommender."""
        await super()._clean_up(failure)
        await recommender_trainings.mark_failed(failure.store, failure.resource, failure.sentence)
