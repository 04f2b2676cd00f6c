"""GetSolutionMetrics: train on nine tenths of the users, and predict the newest events of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.dataset.events import interaction_index, user_histories
from services.engine.training.dataset.split import Holdout, split_users
from services.engine.training.evaluation import ranking_metrics
from services.engine.training.fitting import DEPTH, Progress, silent
from services.engine.training.recipes import assembly, objective
from services.engine.training.recipes.recipe import Recipe
from shared.models import Ids, InteractionIndex, LaterEvents, Model

Event = tuple[str, str, int]
"""(item id, event type, epoch seconds)."""

_EVALUATION_SHARE = 0.6
"""The share of the progress that evaluation reports: it also selects the components."""


def evaluate(
    recipe: Recipe, dataset: Dataset, config: TrainingConfig, *, seed: int = 0, progress: Progress = silent
) -> dict[str, float]:
    """Return the offline metrics of a recipe on a dataset, with Personalize's keys.

    Fits a model of its own on the users that are not held out. Recipes for items are queried with the newest
    seen item.
    """
    return _evaluated(recipe, dataset, config, seed, progress)[1]


def train(
    recipe: Recipe,
    dataset: Dataset,
    config: TrainingConfig,
    progress: Progress = silent,
    warm_start: Model | None = None,
) -> tuple[Model, dict[str, float]]:
    """Return a model of all users, and its metrics.

    Components are selected once, for the evaluated model and without the users it is evaluated on; the model
    of all users takes them over. With an earlier model, `warm_start`, both take over its components.
    """
    evaluated, values = _evaluated(
        recipe, dataset, config, 0, lambda step, share: progress(step, _EVALUATION_SHARE * share), warm_start
    )
    selected = warm_start if evaluated is None else assembly.without_fit(evaluated)
    del evaluated

    def fitting(step: str, share: float) -> None:
        progress(step, _EVALUATION_SHARE + (1 - _EVALUATION_SHARE) * share)

    model = recipe.fit(dataset, config, fitting, selected)
    index = _interaction_index(model, dataset)
    return replace(model, interactions=index, traits=recipe.traits), values


def _interaction_index(model: Model, dataset: Dataset) -> InteractionIndex:
    """Return the index for filters, from all events: the model itself keeps those that count."""
    if len(model.users) != len(dataset.user_ids):
        return InteractionIndex()
    return interaction_index(dataset)


def _evaluated(
    recipe: Recipe,
    dataset: Dataset,
    config: TrainingConfig,
    seed: int,
    progress: Progress,
    warm_start: Model | None = None,
) -> tuple[Model | None, dict[str, float]]:
    if recipe.offline_metrics is not None:
        return recipe.offline_metrics(dataset, config, progress)
    # A recipe that needs no interactions may be trained without any; then there are no users to hold out.
    counted = counted_interactions(dataset, recipe.applied(config)) if len(dataset) else dataset
    holdout = split_users(counted, seed=seed)
    more = recipe.more_metrics(dataset, config) if recipe.more_metrics else {}
    if len(holdout.users) == 0 or len(holdout.train) == 0:
        more |= objective.rewards([], dataset, config)
        return None, ranking_metrics.solution_metrics([], len(dataset.item_ids)) | more
    model = recipe.fit(holdout.train, config, progress, warm_start)
    lists = list(_lists(model, holdout))
    more |= objective.rewards(lists, dataset, config)
    return model, ranking_metrics.solution_metrics(lists, len(dataset.item_ids)) | more


def _lists(model: Model, holdout: Holdout) -> Iterator[tuple[list[str], set[str]]]:
    """Yield each held-out user's recommended items and relevant items."""
    offsets, ids = holdout.relevant.offsets(), holdout.relevant.item_ids
    lists = recommend_in_blocks(model, holdout) if can_use_blocks(model) else recommend_live(model, holdout)
    for user, items in zip(holdout.users.tolist(), lists, strict=True):
        yield items, {ids[item] for item in holdout.relevant.items[offsets[user] : offsets[user + 1]]}


def can_use_blocks(model: Model) -> bool:
    """Return whether held-out users can be scored in blocks, with events that the model does not have."""
    return model.scoring.kind == "user" and not model.scoring.exclude_bought


def recommend_in_blocks(model: Model, holdout: Holdout) -> Iterator[list[str]]:
    """Return the recommended items of all held-out users, scored in blocks as a batch job does."""
    names = [str(name) for name in holdout.seen.user_ids[holdout.users]]
    seen = user_histories(holdout.seen, model.scoring.event_types).of(holdout.users)
    later = LaterEvents(Ids.of(names), seen)
    return (items for _, items, _ in model.recommend_many(names, DEPTH, later=later))


def recommend_live(model: Model, holdout: Holdout) -> Iterator[list[str]]:
    """Yield the same, one user at a time as a campaign does; recipes for items get the newest seen item."""
    offsets = holdout.seen.offsets()
    for user in holdout.users:
        history = list(_events(holdout.seen, int(offsets[user]), int(offsets[user + 1])))
        scored = model.recommend(item_id=history[-1][0], history=history, limit=DEPTH)
        yield [item for item, _ in scored]


def _events(dataset: Dataset, begin: int, end: int) -> Iterator[Event]:
    for row in range(begin, end):
        yield (
            dataset.item_ids[dataset.items[row]],
            dataset.event_type_names[dataset.event_types[row]],
            int(dataset.times[row]),
        )
