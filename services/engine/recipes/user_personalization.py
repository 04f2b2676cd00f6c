"""aws-user-personalization: what a user turns to next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.engine.recipes import assembly, ease, graph, sequence, similarity, tables, weights
from services.engine.recipes.dataset import Dataset
from services.engine.recipes.recipe import Hyperparameters, Progress, Recipe
from shared.models import Model, Part, Scoring

_KEEP = 200


def _fit(dataset: Dataset, config: Mapping[str, Any], progress: Progress) -> Model:
    progress("read interactions", 0.0)
    counted = weights.counted(dataset, config)
    given = Hyperparameters.of(config, RECIPE.hyperparameters)
    type_weights = weights.configured(config) or dict(weights.GRADED)
    seen = assembly.occasions_of(counted, type_weights)
    count = len(counted.item_ids)
    progress("count sequences", 0.1)
    after = sequence.followers(seen, count)
    table = tables.strongest_of_sparse(lambda begin, end: after[begin:end], count, _KEEP, 4096)
    progress("solve for item weights", 0.3)
    matrix = similarity.users_by_items(counted)
    wide = not ease.fits(*matrix.shape)
    near = graph.walks(matrix, keep=_KEEP) if wide else ease.weights(matrix, 200.0, _KEEP)
    names = (*sorted({*counted.event_type_names, *type_weights} - {""}), "")
    scoring = Scoring(
        kind="user",
        scored=True,
        scale="softmax",
        temperature=0.05,
        event_types=names,
        type_weights=tuple(weights.numbered(type_weights, names).tolist()),
        exclude_seen=given.choice("exclude_seen", "auto", "true", "false") == "true",
    )
    parts = [
        Part("sequence", table, 1.0, 0.7, "second"),
        Part("graph" if wide else "ease", near, 1.0, 0.95, "second"),
    ]
    fitted = assembly.model(RECIPE.name, counted, scoring, parts=parts)
    progress("done", 1.0)
    return fitted


RECIPE = Recipe(
    name="aws-user-personalization",
    recipe_type="USER_PERSONALIZATION",
    description="Items that a user will likely turn to next, from the order of everybody's events.",
    hyperparameters={"exclude_seen": "auto"},
    fit=_fit,
)
