"""Held-out users are scored in blocks, and get what each would get alone."""

from __future__ import annotations

from services.engine.recipes import RECIPES, Dataset, evaluation
from services.engine.recipes.recipe import silent
from tests.unit.engine.recipes.conftest import crowd


def test_users_get_the_same_together_as_alone() -> None:
    parted = evaluation.split(Dataset.from_arrow(crowd(400)), share=0.3)
    recipe = RECIPES["aws-user-personalization"]
    for hidden in ("true", "false"):
        config = {"algorithmHyperParameters": {"exclude_seen": hidden}}
        model = recipe.fit(parted.train, config, silent, None)
        assert evaluation.in_blocks(model)
        together = [*evaluation.lists_together(model, parted)]
        assert together == [*evaluation.lists_one_by_one(model, parted)]
        assert len({tuple(items) for items in together}) > 1
