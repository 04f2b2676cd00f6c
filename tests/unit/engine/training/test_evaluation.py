"""Held-out users are scored in blocks, and get what each would get alone."""

from __future__ import annotations

from services.engine.training.dataset.split import split_users
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, offline_evaluation
from tests.support.training import training_config
from tests.unit.engine.training.conftest import crowd


def test_users_get_the_same_together_as_alone() -> None:
    parted = split_users(Dataset.from_arrow(crowd(400)), share=0.3)
    recipe = RECIPES["aws-user-personalization"]
    for hidden in ("true", "false"):
        config = training_config(algorithmHyperParameters={"exclude_seen": hidden})
        model = recipe.fit(parted.train, config, silent, None)
        assert offline_evaluation.can_use_blocks(model)
        together = [*offline_evaluation.recommend_in_blocks(model, parted)]
        assert together == [*offline_evaluation.recommend_live(model, parted)]
        assert len({tuple(items) for items in together}) > 1
