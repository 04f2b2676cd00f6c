"""Recommenders: a use case of the ECOMMERCE domain, trained, deployed and kept fresh as one resource.

Each training is a resource of its own below the recommender, and its job that of a solution version; see
`recommender_trainings`. No operation shows it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from services.engine.domain.resources import UNFINISHED, NewResource, Resource, Status, Type
from services.engine.personalize import dataset_groups, recipes, recommender_trainings
from services.engine.personalize.context import OperationContext, in_use, require_active
from services.engine.personalize.members import (
    ArnText,
    ExplorationConfig,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    Update,
    View,
    WireModel,
    active_update,
    document,
)
from services.engine.personalize.solutions import TrainingDataConfig
from services.engine.recipes import Recipe
from shared.aws import invalid_input
from shared.events.topics import CAMPAIGNS


class RecommenderConfig(WireModel):
    """How a recommender explores, what it shows, and which columns it is trained on."""

    item_exploration_config: ExplorationConfig | None = None
    min_recommendation_requests_per_second: Annotated[int, Field(ge=1)] | None = None
    training_data_config: TrainingDataConfig | None = None
    enable_metadata_with_recommendations: bool | None = None


class CreateRecommender(Tagged):
    """A new recommender."""

    name: ResourceName
    dataset_group_arn: ArnText
    recipe_arn: ArnText
    recommender_config: RecommenderConfig | None = None


class UpdateRecommender(WireModel):
    """Other settings; what is not given stays."""

    recommender_arn: ArnText
    recommender_config: RecommenderConfig


class RecommenderName(WireModel):
    """Which recommender: what is asked, and what changes answer."""

    recommender_arn: ArnText


class ListRecommenders(Page):
    """The recommenders of a group, or of all."""

    dataset_group_arn: ArnText | None = None


class RecommenderSummary(View):
    """A recommender in a list."""

    arn_member = "recommenderArn"

    name: str
    recommender_arn: str
    dataset_group_arn: str
    recipe_arn: str
    recommender_config: RecommenderConfig | None = None
    status: str


class RecommenderUpdate(Update):
    """The newest update of a recommender."""

    recommender_config: RecommenderConfig | None = None


class Recommender(RecommenderSummary, StatusView):
    """A recommender."""

    latest_recommender_update: RecommenderUpdate | None = None
    model_metrics: dict[str, float] | None = None


class RecommenderDescribed(WireModel):
    """The answer to Describe."""

    recommender: Recommender


class RecommendersListed(WireModel):
    """One page."""

    recommenders: list[RecommenderSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateRecommender) -> RecommenderName:
    """Make a recommender and train it; it is ACTIVE when that is done."""
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    recipe = recipes.find(request.recipe_arn)
    _check_domain(recipe, group)
    recommender = await context.create(
        NewResource(
            Type.RECOMMENDER,
            f"{Type.RECOMMENDER}/{request.name}",
            request.name,
            group.owner,
            document(request, "dataset_group_arn", "recipe_arn")
            | {"datasetGroupArn": group.arn, "recipeArn": recipes.recipe_arn(recipe.name)},
            parent=group.path,
            status=Status.PENDING,
            facts={"recipe": recipe.name},
        ),
        request,
    )
    await recommender_trainings.enqueue(context, recommender, _config_of(recommender))
    return RecommenderName(recommender_arn=recommender.arn)


def _check_domain(recipe: Recipe, group: Resource) -> None:
    domain = group.document.get("domain")
    if recipe.domain is None:
        raise invalid_input(
            f"The recipe {recipe.name} is no use case of a domain: make a solution of it, and a campaign."
        )
    if recipe.domain != domain:
        raise invalid_input(
            f"The recipe {recipe.name} needs a dataset group of the domain {recipe.domain}; {group.arn} has "
            f"{f'the domain {domain}' if domain else 'no domain'}."
        )


async def update(context: OperationContext, request: UpdateRecommender) -> RecommenderName:
    """Change settings: at once, or, when other columns are to be trained on, with the next model."""
    recommender = await context.find(request.recommender_arn, Type.RECOMMENDER, lock=True)
    require_active(recommender)
    if recommender.document.get("latestRecommenderUpdate", {}).get("status") in UNFINISHED:
        raise in_use(f"The recommender {recommender.arn} is being updated; wait until that is done.")
    before = _config_of(recommender)
    after = before | document(request)["recommenderConfig"]
    if after == before:
        raise invalid_input(
            f"The recommender {recommender.arn} has this configuration already: the update changes nothing."
        )
    latest = active_update(recommenderConfig=after)
    if after.get("trainingDataConfig") != before.get("trainingDataConfig"):
        training = await recommender_trainings.enqueue(context, recommender, after)
        pending = {"latestRecommenderUpdate": latest | {"status": Status.PENDING}}
        facts = {"update_training": training.id}
        await context.resources.update(recommender, document=pending, facts=facts)
        return RecommenderName(recommender_arn=recommender.arn)
    fresh = {"recommenderConfig": after, "latestRecommenderUpdate": latest}
    await _publish(context, await context.resources.update(recommender, document=fresh))
    return RecommenderName(recommender_arn=recommender.arn)


def _config_of(recommender: Resource) -> dict[str, Any]:
    config: dict[str, Any] = recommender.document.get("recommenderConfig", {})
    return config


async def stop(context: OperationContext, request: RecommenderName) -> RecommenderName:
    """Stop answering and training; the model is kept."""
    recommender = await context.find(request.recommender_arn, Type.RECOMMENDER, lock=True)
    require_active(recommender)
    await _publish(context, await context.resources.update(recommender, status=Status.INACTIVE))
    return RecommenderName(recommender_arn=recommender.arn)


async def start(context: OperationContext, request: RecommenderName) -> RecommenderName:
    """Answer again with the model that there is; it is trained anew if it has become too old."""
    recommender = await context.find(request.recommender_arn, Type.RECOMMENDER, lock=True)
    if recommender.status != Status.INACTIVE:
        raise in_use(f"The recommender {recommender.arn} is not INACTIVE but {recommender.status}.")
    await _publish(context, await context.resources.update(recommender, status=Status.ACTIVE))
    return RecommenderName(recommender_arn=recommender.arn)


async def _publish(context: OperationContext, recommender: Resource) -> None:
    await context.events.publish(CAMPAIGNS, recommender_trainings.recommender_changed(recommender))


async def describe(context: OperationContext, request: RecommenderName) -> RecommenderDescribed:
    """Show a recommender with the metrics of its model."""
    recommender = await context.find(request.recommender_arn, Type.RECOMMENDER)
    metrics = recommender.facts.get("metrics")
    shown = {name: round(value, 4) for name, value in metrics.items()} if metrics else None
    return RecommenderDescribed(recommender=Recommender.of(recommender, modelMetrics=shown))


async def list_page(context: OperationContext, request: ListRecommenders) -> RecommendersListed:
    """List recommenders."""
    arn = request.dataset_group_arn
    group = await context.find(arn, Type.DATASET_GROUP) if arn else None
    shown, token = await context.list_page(request, Type.RECOMMENDER, RecommenderSummary, group)
    return RecommendersListed(recommenders=shown, next_token=token)


async def delete(context: OperationContext, request: RecommenderName) -> None:
    """Delete a recommender with its trainings; one that is under way ends."""
    recommender = await context.find(request.recommender_arn, Type.RECOMMENDER, lock=True)
    if recommender.status in UNFINISHED:
        raise in_use(f"The recommender {recommender.arn} is {recommender.status}; wait until that is done.")
    for training in await context.resources.children(recommender.path, Type.RECOMMENDER_TRAINING):
        await context.resources.discard(training.facts["folder"], context.settings.garbage_hours)
        await context.resources.delete(training)
    await context.resources.begin_deletion(recommender)
    key = recommender_trainings.serving_name(recommender)
    await context.events.publish_tombstone(CAMPAIGNS, recommender.owner, f"{recommender.owner}:{key}")
