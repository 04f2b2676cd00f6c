"""Every recipe's model can be freed of some of its users, and answers the others as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.engine.computations.model_deletion import without_users
from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, Recipe
from shared.models import Model, load, save

FORGOTTEN = ("ann", "dee")
LEFT = ("bob", "cid", "eve", "zoe", "nobody")


@pytest.fixture(params=sorted(RECIPES))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


@pytest.fixture
def model(recipe: Recipe, shop: Dataset) -> Model:
    return recipe.fit(shop, TrainingConfig(), silent)


def answers(model: Model) -> list[list[tuple[str, float | None]]]:
    if model.scoring.kind == "item":
        return [model.recommend(item_id=item, relevance=True) for item in model.items.strings]
    return [model.recommend(user_id=user, relevance=True) for user in LEFT]


def test_the_users_are_unknown_and_the_others_are_answered_as_before(model: Model, tmp_path: Path) -> None:
    before = answers(model)
    known = np.array([n for user in FORGOTTEN if (n := model.users.find(user)) is not None], np.int64)

    save(without_users(model, known), tmp_path)
    fresh = load(tmp_path)

    assert [fresh.users.find(user) for user in FORGOTTEN] == [None, None]
    assert len(fresh.users) == len(model.users) - len(known)
    assert answers(fresh) == before
    for user in LEFT:
        old, new = model.users.find(user), fresh.users.find(user)
        assert (old is None) == (new is None)
        if old is not None and new is not None:
            assert fresh.user_attributes.row(new) == model.user_attributes.row(old)
            if fresh.interactions.available:
                assert [rows.tolist() for rows in fresh.interactions.row(new)] == [
                    rows.tolist() for rows in model.interactions.row(old)
                ]
    if model.scoring.kind == "user":
        assert fresh.recommend(user_id="ann", relevance=True) == fresh.recommend(
            user_id="nobody", relevance=True
        )


def test_a_model_without_any_user_left_still_answers(model: Model, tmp_path: Path) -> None:
    save(without_users(model, np.arange(len(model.users))), tmp_path)
    fresh = load(tmp_path)

    assert len(fresh.users) == 0
    for name in ("user_id", "item_id"):
        assert isinstance(fresh.recommend(**{name: "tea"}), list)
