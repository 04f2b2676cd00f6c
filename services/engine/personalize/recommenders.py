"""Recommenders: a use case of the ECOMMERCE domain, trained, deployed and retrained weekly as one resource.

Each training is a resource below the recommender, which no operation shows; see `recommender_trainings`.
"""

from __future__ import annotations

from services.engine.domain import state
from services.engine.domain.deployment_config import RecommenderConfig
from services.engine.domain.resources import UNFINISHED, ResourceType, Status
from services.engine.personalize import dataset_groups, recipes, recommender_trainings
from services.engine.personalize.context import NewState, OperationContext, in_use, require_active
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    View,
    WireModel,
)
from services.engine.training.recipes import Recipe
from shared.aws import invalid_input
from shared.events.topics import CAMPAIGNS


class CreateRecommender(Tagged):
    """The request of CreateRecommender."""

    name: ResourceName
    dataset_group_arn: ArnText
    recipe_arn: ArnText
    recommender_config: RecommenderConfig | None = None


class UpdateRecommender(WireModel):
    """The request of UpdateRecommender; members that are absent stay as they are."""

    recommender_arn: ArnText
    recommender_config: RecommenderConfig


class RecommenderName(WireModel):
    """The ARN of a recommender, in requests and answers."""

    recommender_arn: ArnText


class ListRecommenders(Page):
    """The request of ListRecommenders."""

    dataset_group_arn: ArnText | None = None


class RecommenderSummary(View):
    """The view of a recommender in a list."""

    arn_member = "recommenderArn"

    name: str
    recommender_arn: str
    dataset_group_arn: str
    recipe_arn: str
    recommender_config: RecommenderConfig | None = None
    status: str


class Recommender(RecommenderSummary, StatusView):
    """The view of a recommender in the answer to Describe."""

    latest_recommender_update: state.RecommenderUpdate | None = None
    model_metrics: dict[str, float] | None = None


class RecommenderDescribed(WireModel):
    """The answer to DescribeRecommender."""

    recommender: Recommender


class RecommendersListed(WireModel):
    """One page of the answer to ListRecommenders."""

    recommenders: list[RecommenderSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateRecommender) -> RecommenderName:
    """Create a recommender and train it; it is ACTIVE when its first training has ended."""
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    recipe = recipes.find(request.recipe_arn)
    _check_domain(recipe, group)
    document = state.RecommenderDocument(
        dataset_group_arn=group.arn,
        recipe_arn=recipes.recipe_arn(recipe.name),
        recommender_config=request.recommender_config,
    )
    new = NewState(
        f"{ResourceType.RECOMMENDER}/{request.name}",
        request.name,
        group.owner,
        document,
        state.RecommenderFacts(recipe=recipe.name),
        parent=group.path,
        status=Status.PENDING,
    )
    recommender = await context.create(state.Recommender, new, request)
    await recommender_trainings.enqueue(context, recommender, recommender.config)
    return RecommenderName(recommender_arn=str(recommender.arn))


def _check_domain(recipe: Recipe, group: state.DatasetGroup) -> None:
    domain = group.document.domain
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
    """Change the configuration: at once, or with the next model if other columns are to be trained on.

    Raise WireError: ResourceInUseException during another update, InvalidInputException if nothing changes.
    """
    recommender = await context.find(request.recommender_arn, state.Recommender, lock=True)
    require_active(recommender)
    running = recommender.document.latest_recommender_update
    if running is not None and running.status in UNFINISHED:
        raise in_use(f"The recommender {recommender.arn} is being updated; wait until that is done.")
    old = recommender.config
    changes = {name: value for name, value in request.recommender_config if value is not None}
    new = old.model_copy(update=changes)
    if new == old:
        raise invalid_input(
            f"The recommender {recommender.arn} has this configuration already: the update changes nothing."
        )
    if new.training_data_config != old.training_data_config:
        await _train_for_update(context, recommender, new)
        return RecommenderName(recommender_arn=str(recommender.arn))
    members = {
        "recommender_config": new,
        "latest_recommender_update": state.RecommenderUpdate(recommender_config=new),
    }
    document = recommender.document.model_copy(update=members)
    await _publish(context, await context.resources.save(recommender, document=document))
    return RecommenderName(recommender_arn=str(recommender.arn))


async def _train_for_update(
    context: OperationContext, recommender: state.Recommender, config: RecommenderConfig
) -> None:
    """Queue the training with which a configuration comes into force."""
    training = await recommender_trainings.enqueue(context, recommender, config)
    pending = state.RecommenderUpdate(recommender_config=config, status=Status.PENDING)
    document = recommender.document.model_copy(update={"latest_recommender_update": pending})
    facts = recommender.facts.model_copy(update={"update_training": training.id})
    await context.resources.save(recommender, document=document, facts=facts)


async def stop(context: OperationContext, request: RecommenderName) -> RecommenderName:
    """Stop answering requests and training; the model is kept."""
    recommender = await context.find(request.recommender_arn, state.Recommender, lock=True)
    require_active(recommender)
    await _publish(context, await context.resources.save(recommender, status=Status.INACTIVE))
    return RecommenderName(recommender_arn=str(recommender.arn))


async def start(context: OperationContext, request: RecommenderName) -> RecommenderName:
    """Answer requests again with the existing model; it is trained again soon if it is a week old.

    Raise WireError (ResourceInUseException) unless the recommender is INACTIVE.
    """
    recommender = await context.find(request.recommender_arn, state.Recommender, lock=True)
    if recommender.status != Status.INACTIVE:
        raise in_use(f"The recommender {recommender.arn} is not INACTIVE but {recommender.status}.")
    await _publish(context, await context.resources.save(recommender, status=Status.ACTIVE))
    return RecommenderName(recommender_arn=str(recommender.arn))


async def _publish(context: OperationContext, recommender: state.Recommender) -> None:
    await context.events.publish(CAMPAIGNS, recommender_trainings.recommender_changed(recommender))


async def describe(context: OperationContext, request: RecommenderName) -> RecommenderDescribed:
    """Describe a recommender with the metrics of its model."""
    recommender = await context.find(request.recommender_arn, state.Recommender)
    metrics = recommender.facts.metrics
    rounded = {name: round(value, 4) for name, value in metrics.items()} if metrics else None
    return RecommenderDescribed(recommender=Recommender.of(recommender, modelMetrics=rounded))


async def list_page(context: OperationContext, request: ListRecommenders) -> RecommendersListed:
    """List recommenders."""
    group = await context.find_optional(request.dataset_group_arn, state.DatasetGroup)
    views, token = await context.list_page(request, state.Recommender, RecommenderSummary, group)
    return RecommendersListed(recommenders=views, next_token=token)


async def delete(context: OperationContext, request: RecommenderName) -> None:
    """Delete a recommender with its trainings, also those that are running.

    Raise WireError (ResourceInUseException) before its first training has ended.
    """
    recommender = await context.find(request.recommender_arn, state.Recommender, lock=True)
    if recommender.is_unfinished:
        raise in_use(f"The recommender {recommender.arn} is {recommender.status}; wait until that is done.")
    for training in await context.resources.list_children(state.RecommenderTraining, recommender.path):
        await context.resources.discard(training.facts.folder, context.settings.garbage_hours)
        await context.resources.delete(training)
    await context.resources.begin_deletion(recommender)
    key = recommender_trainings.serving_name(recommender)
    await context.events.publish_tombstone(CAMPAIGNS, recommender.owner, f"{recommender.owner}:{key}")
