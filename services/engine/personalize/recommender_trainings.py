"""The trainings of recommenders: made with one, weekly, and when other columns are to be trained on."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from services.engine.domain.locations import model_prefix
from services.engine.domain.resources import UNFINISHED, NewResource, Resource, Status, Type
from services.engine.personalize.context import OperationContext
from services.engine.store.resources import Resources
from shared.events import CampaignChanged

_MODEL = ("metrics", "model_uri", "model_sha256")


async def enqueue(context: OperationContext, recommender: Resource, config: dict[str, Any]) -> Resource:
    """A training that waits for a worker, with the settings of a recommender's configuration."""
    identifier = secrets.token_hex(4)
    columns = {name: config[name] for name in ("trainingDataConfig",) if name in config}
    training = await context.create(
        NewResource(
            Type.RECOMMENDER_TRAINING,
            f"{recommender.path}/{identifier}",
            f"{recommender.name}/{identifier}",
            recommender.owner,
            {
                "datasetGroupArn": recommender.document["datasetGroupArn"],
                "solutionConfig": columns,
                "trainingMode": "FULL",
            },
            parent=recommender.path,
            status=Status.PENDING,
            facts={
                "recipe": recommender.facts["recipe"],
                "folder": model_prefix(recommender.owner, recommender.name, identifier),
            },
        )
    )
    await context.enqueue(training)
    return training


async def mark_in_progress(resources: Resources, training: Resource) -> None:
    """A new recommender is CREATE IN_PROGRESS with its first training."""
    recommender = await resources.get(training.parent or "", lock=True)
    if recommender is not None and recommender.status == Status.PENDING:
        await resources.update(recommender, status=Status.IN_PROGRESS)


async def deploy(resources: Resources, training: Resource, hours: float) -> list[CampaignChanged]:
    """Deploy the model of a training in place of the one before; gives what changed.

    The folders of earlier trainings go after these hours.
    """
    recommender = await resources.get(training.parent or "", lock=True)
    if recommender is None:
        return []
    document: dict[str, Any] = {}
    if recommender.facts.get("update_training") == training.id:
        latest = recommender.document["latestRecommenderUpdate"]
        now = datetime.now(UTC).timestamp()
        document = {
            "recommenderConfig": latest["recommenderConfig"],
            "latestRecommenderUpdate": latest | {"status": Status.ACTIVE, "lastUpdatedDateTime": now},
        }
    facts = {name: training.facts[name] for name in _MODEL} | {"solution_version_arn": training.arn}
    status = Status.ACTIVE if recommender.status in UNFINISHED else None
    updated = await resources.update(recommender, status=status, document=document, facts=facts)
    for other in await resources.children(recommender.path, Type.RECOMMENDER_TRAINING):
        if other.id != training.id and other.status not in UNFINISHED:
            await resources.discard(other.facts["folder"], hours)
            await resources.delete(other)
    return [recommender_changed(updated)]


async def redeploy(resources: Resources, training: Resource) -> list[CampaignChanged]:
    """Deploy what took the place of a training's model, if that is in use; gives what changed."""
    recommender = await resources.get(training.parent or "", lock=True)
    if recommender is None or recommender.facts.get("solution_version_arn") != training.arn:
        return []
    facts = {name: training.facts[name] for name in ("model_uri", "model_sha256")}
    return [recommender_changed(await resources.update(recommender, facts=facts))]


async def mark_failed(resources: Resources, training: Resource, sentence: str) -> None:
    """A new recommender fails with its first training; any other keeps the model that it has."""
    recommender = await resources.get(training.parent or "", lock=True)
    if recommender is None:
        return
    if recommender.status in UNFINISHED:
        await resources.update(recommender, status=Status.FAILED, failure_reason=sentence)
    elif recommender.facts.get("update_training") == training.id:
        latest = recommender.document["latestRecommenderUpdate"]
        latest = latest | {"status": Status.FAILED, "failureReason": sentence}
        await resources.update(recommender, document={"latestRecommenderUpdate": latest})


def serving_name(recommender: Resource) -> str:
    """What a recommender is called among campaigns: no campaign's name has a slash."""
    return recommender.path


def recommender_changed(recommender: Resource) -> CampaignChanged:
    """The state of a recommender that has a model, as an event."""
    return CampaignChanged(
        event_id=str(uuid.uuid4()),
        tenant=recommender.owner,
        occurred_at=datetime.now(UTC),
        name=serving_name(recommender),
        arn=recommender.arn,
        status=recommender.status,
        recipe=recommender.facts["recipe"],
        solution_version_arn=recommender.facts["solution_version_arn"],
        model_uri=recommender.facts["model_uri"],
        model_sha256=recommender.facts["model_sha256"],
        config=recommender.document.get("recommenderConfig", {}),
    )
