"""The trained models of a dataset group, and how one takes the place of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from services.engine.domain.resources import Resource, Status, Type
from services.engine.personalize import campaigns, recommender_trainings
from services.engine.store import resources

if TYPE_CHECKING:
    from shared.events import CampaignChanged
    from shared.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model folder (a prefix of the data bucket), its fingerprint, and the path of its resource."""

    path: str
    folder: str
    sha256: str

    def folder_without(self, deletion: int) -> str:
        """The prefix of the same model without the users of a deletion job."""
        return f"{self.folder.rstrip('/')}-{deletion}/"


class ReplacementModel(NamedTuple):
    """A model that takes another one's place: its prefix, its fingerprint, how many users it knows."""

    folder: str
    sha256: str
    users: int


async def list_models(database: Database, resource: Resource) -> list[TrainedModel]:
    """The models of the dataset group that a resource is in."""
    return [
        TrainedModel(model.path, model.facts["folder"], model.facts["model_sha256"])
        for model in await _resources(database, resource)
        if model.status == Status.ACTIVE and not model.facts.get("retired") and "model_sha256" in model.facts
    ]


async def list_running_trainings(database: Database, resource: Resource) -> list[int]:
    """The ids of the trainings of the same group that have begun and not ended."""
    beside = resources.in_account_of(database, resource)
    found = await _resources(database, resource)
    renewals = [
        renewal
        for version in found
        if version.type is Type.SOLUTION_VERSION
        for renewal in await beside.children(version.path, Type.MODEL_RENEWAL)
    ]
    return [each.id for each in [*found, *renewals] if each.status == Status.IN_PROGRESS]


async def still_running(database: Database, trainings: Sequence[int]) -> list[str]:
    """The names of those of the trainings that have not ended."""
    found = [await resources.by_id(database, identifier) for identifier in trainings]
    return [one.name for one in found if one is not None and one.status == Status.IN_PROGRESS]


async def replace_model(
    connection: Connection,
    resource: Resource,
    old: TrainedModel,
    fresh: ReplacementModel,
    bucket: str,
    hours: float,
) -> list[CampaignChanged]:
    """Put a model in the place of another, if that is still there; gives what serves it now.

    The folder of the model before goes after these hours.
    """
    beside = resources.in_account_of(connection, resource)
    model = await beside.get(old.path, lock=True)
    if model is None or model.facts["folder"] != old.folder:
        await beside.discard(fresh.folder, 0.0)
        return []
    facts = {
        "folder": fresh.folder,
        "model_sha256": fresh.sha256,
        "model_uri": f"s3://{bucket}/{fresh.folder}",
        "users": fresh.users,
    }
    await beside.discard(old.folder, hours)
    model = await beside.update(model, facts=facts)
    if model.type is Type.SOLUTION_VERSION:
        return await campaigns.redeploy(beside, model)
    return await recommender_trainings.redeploy(beside, model)


async def _resources(database: Database, resource: Resource) -> list[Resource]:
    """The solution versions and the trainings of recommenders in the group of a resource."""
    beside = resources.in_account_of(database, resource)
    return [
        found
        for owner in await beside.children(resource.parent or "", Type.SOLUTION, Type.RECOMMENDER)
        for found in await beside.children(owner.path, Type.SOLUTION_VERSION, Type.RECOMMENDER_TRAINING)
    ]
