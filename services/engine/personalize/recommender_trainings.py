"""The trainings of recommenders: the first, one a week, and one for each change of the trained columns."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime

from services.engine.domain import state
from services.engine.domain.deployment_config import RecommenderConfig
from services.engine.domain.locations import model_prefix
from services.engine.domain.resources import Status
from services.engine.domain.solution_config import SolutionConfig
from services.engine.personalize.context import NewState, OperationContext
from services.engine.store.resources import Resources
from shared.events import CampaignChanged


async def enqueue(
    context: OperationContext, recommender: state.Recommender, config: RecommenderConfig
) -> state.RecommenderTraining:
    """Create a training with the columns of a configuration, and queue it."""
    identifier = secrets.token_hex(4)
    document = state.RecommenderTrainingDocument(
        dataset_group_arn=recommender.document.dataset_group_arn,
        solution_config=SolutionConfig(training_data_config=config.training_data_config),
    )
    facts = state.ModelFacts(
        recipe=recommender.facts.recipe,
        folder=model_prefix(recommender.owner, recommender.name, identifier),
    )
    new = NewState(
        f"{recommender.path}/{identifier}",
        f"{recommender.name}/{identifier}",
        recommender.owner,
        document,
        facts,
        parent=recommender.path,
        status=Status.PENDING,
    )
    training = await context.create(state.RecommenderTraining, new)
    await context.enqueue(training)
    return training


async def mark_in_progress(resources: Resources, training: state.RecommenderTraining) -> None:
    """Set a new recommender to CREATE IN_PROGRESS when its first training begins."""
    recommender = await resources.load_parent(state.Recommender, training)
    if recommender is not None and recommender.status == Status.PENDING:
        await resources.save(recommender, status=Status.IN_PROGRESS)


async def deploy(
    resources: Resources, training: state.RecommenderTraining, hours: float
) -> list[CampaignChanged]:
    """Deploy the model of a training in its recommender; return the events of the changes.

    Earlier trainings are deleted, and their folders after `hours`.
    """
    recommender = await resources.load_parent(state.Recommender, training)
    if recommender is None:
        return []
    updated = await resources.save(
        recommender,
        status=Status.ACTIVE if recommender.is_unfinished else None,
        document=_document_after(recommender, training),
        facts=_with_model(recommender, training),
    )
    for earlier in await resources.list_children(state.RecommenderTraining, recommender.path):
        if earlier.id != training.id and not earlier.is_unfinished:
            await resources.discard(earlier.facts.folder, hours)
            await resources.delete(earlier)
    return [recommender_changed(updated)]


def _document_after(
    recommender: state.Recommender, training: state.RecommenderTraining
) -> state.RecommenderDocument:
    """Return the document with the update that the training was made for, if any, in force."""
    update = recommender.document.latest_recommender_update
    if update is None or recommender.facts.update_training != training.id:
        return recommender.document
    in_force = {"status": Status.ACTIVE.value, "last_updated_date_time": datetime.now(UTC)}
    members = {
        "recommender_config": update.recommender_config,
        "latest_recommender_update": update.model_copy(update=in_force),
    }
    return recommender.document.model_copy(update=members)


def _with_model(
    recommender: state.Recommender, training: state.RecommenderTraining
) -> state.RecommenderFacts:
    model = training.facts
    members = {
        "metrics": model.metrics,
        "model_uri": model.model_uri,
        "model_sha256": model.model_sha256,
        "solution_version_arn": training.arn,
        "traits": model.traits,
    }
    return recommender.facts.model_copy(update=members)


async def redeploy(resources: Resources, training: state.RecommenderTraining) -> list[CampaignChanged]:
    """Deploy the new model of a training if its recommender serves it; return the events of the changes."""
    recommender = await resources.load_parent(state.Recommender, training)
    if recommender is None or recommender.facts.solution_version_arn != training.arn:
        return []
    model = {"model_uri": training.facts.model_uri, "model_sha256": training.facts.model_sha256}
    updated = await resources.save(recommender, facts=recommender.facts.model_copy(update=model))
    return [recommender_changed(updated)]


async def mark_failed(resources: Resources, training: state.RecommenderTraining, reason: str) -> None:
    """Set a new recommender to CREATE FAILED with its first training; any other one keeps its model."""
    recommender = await resources.load_parent(state.Recommender, training)
    if recommender is None:
        return
    update = recommender.document.latest_recommender_update
    if recommender.is_unfinished:
        await resources.save(recommender, status=Status.FAILED, failure_reason=reason)
    elif update is not None and recommender.facts.update_training == training.id:
        failed = update.model_copy(update={"status": Status.FAILED.value, "failure_reason": reason})
        document = recommender.document.model_copy(update={"latest_recommender_update": failed})
        await resources.save(recommender, document=document)


def serving_name(recommender: state.Recommender) -> str:
    """Return the name of a recommender among campaigns, whose own names have no slash."""
    return recommender.path


def recommender_changed(recommender: state.Recommender) -> CampaignChanged:
    """Return the event with the state of a recommender that has a model."""
    facts = recommender.facts
    assert facts.model_uri is not None
    assert facts.model_sha256 is not None
    return CampaignChanged(
        event_id=str(uuid.uuid4()),
        tenant=recommender.owner,
        occurred_at=datetime.now(UTC),
        name=serving_name(recommender),
        arn=str(recommender.arn),
        status=recommender.status,
        recipe=facts.recipe,
        solution_version_arn=str(facts.solution_version_arn),
        model_uri=facts.model_uri,
        model_sha256=facts.model_sha256,
        config=recommender.config.model_dump(mode="json", by_alias=True, exclude_none=True),
        traits=facts.traits,
    )
