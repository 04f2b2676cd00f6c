"""Recipes: how a solution version is trained and evaluated.

`RECIPES[name].fit(dataset, config, progress)` returns a model, `evaluate` the values of GetSolutionMetrics,
and `train` both, in less time than the two apart. One small module per recipe.

See docs/decisions/0027-recipes.
"""

from services.engine.training.dataset.dataset import Dataset
from services.engine.training.fitting import Progress
from services.engine.training.recipes import (
    aliases,
    ecommerce,
    graph_filter,
    item_affinity,
    next_basket,
    popularity_count,
    segment_attribute_affinity,
    segment_item_affinity,
    semantic_similarity,
    session,
    similar_items,
    sims,
    trending_now,
)
from services.engine.training.recipes.offline_evaluation import evaluate, train
from services.engine.training.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *aliases.RECIPES,
        similar_items.RECIPE,
        popularity_count.RECIPE,
        item_affinity.RECIPE,
        session.RECIPE,
        next_basket.RECIPE,
        segment_item_affinity.RECIPE,
        segment_attribute_affinity.RECIPE,
        graph_filter.RECIPE,
        sims.RECIPE,
        semantic_similarity.RECIPE,
        trending_now.RECIPE,
        *ecommerce.RECIPES,
    )
}

__all__ = ["RECIPES", "Dataset", "Progress", "Recipe", "evaluate", "train"]
