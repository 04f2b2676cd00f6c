"""aws-popularity-count: the same list for everybody, by unique users."""

from __future__ import annotations

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.fitting import Progress
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import Recipe
from shared.models import Model, Scoring


def _fit(dataset: Dataset, config: TrainingConfig, progress: Progress, _: Model | None = None) -> Model:
    progress("count unique users", 0.0)
    counted = counted_interactions(dataset, config)
    model = assembly.model(
        RECIPE.name, counted, Scoring(kind="popular", scored=False), notes={"interactions": len(counted)}
    )
    progress("done", 1.0)
    return model


RECIPE = Recipe(
    name="aws-popularity-count",
    recipe_type="USER_PERSONALIZATION",
    description="Counts the unique users of each item and recommends the items with the most.",
    needs=(),
    feature_transformation="sims",
    adds_up=True,
    fit=_fit,
)
