"""The trained models of a dataset group, and how one model replaces another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from services.engine.domain import state
from services.engine.domain.resources import Resource, ResourceType, Status
from services.engine.personalize import campaigns, recommender_trainings
from services.engine.store import resources

if TYPE_CHECKING:
    from services.engine.store.resources import Resources
    from shared.events import CampaignChanged
    from shared.postgres import Connection, Database

Training = state.SolutionVersion | state.RecommenderTraining


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model: the path of its resource, its prefix in the data bucket, and the SHA-256 of its files."""

    path: str
    folder: str
    sha256: str

    def folder_without(self, deletion: int) -> str:
        """Return the prefix of the same model without the users of a data deletion job."""
        return f"{self.folder.rstrip('/')}-{deletion}/"


class ReplacementModel(NamedTuple):
    """A model that replaces another: its prefix, its SHA-256, and how many users it knows."""

    folder: str
    sha256: str
    users: int


async def list_models(database: Database, resource: state.ResourceState) -> list[TrainedModel]:
    """Return the models of the dataset group that a resource is below."""
    return [
        TrainedModel(training.path, training.facts.folder, training.facts.model_sha256)
        for training in await _list_trainings(database, resource)
        if training.status == Status.ACTIVE and not training.facts.retired and training.facts.model_sha256
    ]


async def list_running_trainings(database: Database, resource: state.ResourceState) -> list[int]:
    """Return the ids of the running trainings of the same dataset group."""
    account = resources.in_account_of(database, resource)
    trainings = await _list_trainings(database, resource)
    renewals = [
        renewal
        for version in trainings
        if isinstance(version, state.SolutionVersion)
        for renewal in await account.list_children(state.ModelRenewal, version.path)
    ]
    return [training.id for training in [*trainings, *renewals] if training.status == Status.IN_PROGRESS]


async def still_running(database: Database, trainings: Sequence[int]) -> list[str]:
    """Return the names of the trainings with these ids that are still running."""
    rows = [await resources.by_id(database, identifier) for identifier in trainings]
    return [row.name for row in rows if row is not None and row.status == Status.IN_PROGRESS]


async def replace_model(
    connection: Connection,
    resource: state.ResourceState,
    old: TrainedModel,
    new: ReplacementModel,
    bucket: str,
    hours: float,
) -> list[CampaignChanged]:
    """Replace a model by another one if it is still in place; return the events of what serves it now.

    The folder of the replaced model is deleted after `hours`. If another model is in place by now, that of
    the new model is deleted at once.
    """
    account = resources.in_account_of(connection, resource)
    row = await account.get(old.path, lock=True)
    if row is None:
        await account.discard(new.folder, 0.0)
        return []
    training = _training_of(row)
    if training.facts.folder != old.folder:
        await account.discard(new.folder, 0.0)
        return []
    await account.discard(old.folder, hours)
    uri = f"s3://{bucket}/{new.folder}"
    members = {"folder": new.folder, "model_sha256": new.sha256, "model_uri": uri, "users": new.users}
    return await _redeploy(account, training, training.facts.model_copy(update=members))


async def _redeploy(account: Resources, training: Training, facts: state.ModelFacts) -> list[CampaignChanged]:
    if isinstance(training, state.SolutionVersion):
        return await campaigns.redeploy(account, await account.save(training, facts=facts))
    return await recommender_trainings.redeploy(account, await account.save(training, facts=facts))


def _training_of(row: Resource) -> Training:
    kind = state.SolutionVersion if row.type is ResourceType.SOLUTION_VERSION else state.RecommenderTraining
    return kind.of(row)


async def _list_trainings(database: Database, resource: state.ResourceState) -> list[Training]:
    """Return the solution versions and the trainings of recommenders in the dataset group of a resource."""
    account = resources.in_account_of(database, resource)
    group = resource.parent or ""
    trainings: list[Training] = []
    for solution in await account.list_children(state.Solution, group):
        trainings += await account.list_children(state.SolutionVersion, solution.path)
    for recommender in await account.list_children(state.Recommender, group):
        trainings += await account.list_children(state.RecommenderTraining, recommender.path)
    return trainings
