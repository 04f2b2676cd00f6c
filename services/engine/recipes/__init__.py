"""Recipes: how a solution version is fitted and judged.

`RECIPES[name].fit(dataset, config, progress)` makes a model, `evaluate` what GetSolutionMetrics
shows, and `train` both for less than the two apart. One small module per recipe, one per method.
"""

from services.engine.recipes import (
    item_affinity,
    next_basket,
    popularity_count,
    session,
    similar_items,
    user_personalization,
)
from services.engine.recipes.dataset import Dataset
from services.engine.recipes.evaluation import evaluate, train
from services.engine.recipes.recipe import Progress, Recipe

RECIPES: dict[str, Recipe] = {
    module.RECIPE.name: module.RECIPE
    for module in (
        user_personalization,
        similar_items,
        popularity_count,
        item_affinity,
        session,
        next_basket,
    )
}

__all__ = ["RECIPES", "Dataset", "Progress", "Recipe", "evaluate", "train"]
