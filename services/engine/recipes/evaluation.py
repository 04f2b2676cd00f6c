"""GetSolutionMetrics: train on nine users of ten, see how the tenth's newest events are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from services.engine.recipes import assembly, metrics, objective
from services.engine.recipes.recipe import Progress, Recipe, silent
from services.engine.training.dataset import event_weights
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.split import Holdout, eligible, hold_out
from shared.models import Ids, InteractionIndex, LaterEvents, Model

Event = tuple[str, str, int]


def split(dataset: Dataset, *, seed: int = 0, share: float = 0.1) -> Holdout:
    """Hold out a share of the users who have two occasions or more.

    Of each, the oldest 90 % of the occasions is seen and the newest 10 %, at least one, is to be
    found. The choice depends on the seed and the data alone; a lone user is never held out.
    """
    candidates = eligible(dataset)
    if dataset.active < 2 or len(candidates) == 0:
        return hold_out(dataset, np.zeros(0, np.int64))
    shuffled = np.random.default_rng(seed).permutation(candidates)
    return hold_out(dataset, shuffled[: max(1, round(len(candidates) * share))])


def evaluate(
    recipe: Recipe, dataset: Dataset, config: Mapping[str, Any], *, seed: int = 0, progress: Progress = silent
) -> dict[str, float]:
    """The offline metrics of a recipe on a dataset, with Personalize's keys.

    Fits a model of its own on the other users. Recipes that ask for an item get the newest one seen.
    """
    return _evaluated(recipe, dataset, config, seed, progress)[1]


def train(
    recipe: Recipe,
    dataset: Dataset,
    config: Mapping[str, Any],
    progress: Progress = silent,
    warm_start: Model | None = None,
) -> tuple[Model, dict[str, float]]:
    """A model of all users, and its metrics.

    The recipe makes its choices once, for the model that is evaluated and without the users it is evaluated
    on; the model of all users takes them over. Both take over those of `warm_start`, an earlier model.
    """
    evaluated, offline = _evaluated(
        recipe, dataset, config, 0, lambda step, share: progress(step, 0.6 * share), warm_start
    )
    chosen = warm_start if evaluated is None else assembly.choices_of(evaluated)
    del evaluated
    model = recipe.fit(dataset, config, lambda step, share: progress(step, 0.6 + 0.4 * share), chosen)
    return replace(model, interactions=_interaction_index(model, dataset)), offline


def _interaction_index(model: Model, dataset: Dataset) -> InteractionIndex:
    """Everything that users did, for filters: the model itself keeps the events that count."""
    if len(model.users) != len(dataset.user_ids):
        return InteractionIndex()
    return assembly.interaction_index(dataset)


def _evaluated(
    recipe: Recipe,
    dataset: Dataset,
    config: Mapping[str, Any],
    seed: int,
    progress: Progress,
    warm_start: Model | None = None,
) -> tuple[Model | None, dict[str, float]]:
    if recipe.offline_metrics is not None:
        return recipe.offline_metrics(dataset, config, progress)
    # A recipe that needs no interactions is trained without any, and then there is nobody to ask.
    counted = event_weights.counted(dataset, {**config, **recipe.fixed}) if len(dataset) else dataset
    parted = split(counted, seed=seed)
    more = recipe.more_metrics(dataset, config) if recipe.more_metrics else {}
    if len(parted.users) == 0 or len(parted.train) == 0:
        more |= objective.rewards([], dataset, config)
        return None, metrics.solution_metrics([], len(dataset.item_ids)) | more
    model = recipe.fit(parted.train, config, progress, warm_start)
    lists = list(_lists(model, parted))
    more |= objective.rewards(lists, dataset, config)
    return model, metrics.solution_metrics(lists, len(dataset.item_ids)) | more


def _lists(model: Model, parted: Holdout) -> Iterator[tuple[list[str], set[str]]]:
    """What each held-out user is recommended, and what the user then turned to."""
    offsets, ids = parted.sought.offsets(), parted.sought.item_ids
    found = lists_together(model, parted) if in_blocks(model) else lists_one_by_one(model, parted)
    for user, items in zip(parted.users.tolist(), found, strict=True):
        yield items, {ids[item] for item in parted.sought.items[offsets[user] : offsets[user + 1]]}


def in_blocks(model: Model) -> bool:
    """Whether many users can be asked for at once, with what the model itself does not know of them."""
    return model.scoring.kind == "user" and not model.scoring.exclude_bought


def lists_together(model: Model, parted: Holdout) -> Iterator[list[str]]:
    """The lists of all held-out users, scored in blocks as a batch does."""
    names = [str(name) for name in parted.seen.user_ids[parted.users]]
    seen = assembly.histories(parted.seen, model.scoring.event_types).of(parted.users)
    later = LaterEvents(Ids.of(names), seen)
    return (items for _, items, _ in model.recommend_many(names, metrics.DEPTH, later=later))


def lists_one_by_one(model: Model, parted: Holdout) -> Iterator[list[str]]:
    """The same, each user alone, as a campaign scores; recipes of items get the newest one seen."""
    begins = parted.seen.offsets()
    for user in parted.users:
        history = list(_events(parted.seen, int(begins[user]), int(begins[user + 1])))
        found = model.recommend(item_id=history[-1][0], history=history, limit=metrics.DEPTH)
        yield [item for item, _ in found]


def _events(dataset: Dataset, begin: int, end: int) -> Iterator[Event]:
    for place in range(begin, end):
        yield (
            dataset.item_ids[dataset.items[place]],
            dataset.event_type_names[dataset.event_types[place]],
            int(dataset.times[place]),
        )
