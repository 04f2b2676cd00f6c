"""Who touched an item, and what it says of itself."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.methods import ease
from services.engine.training.methods.tfidf import vectors
from services.engine.training.recipes import RECIPES, Dataset
from shared.models import Model
from tests.support.training import training_config

RECIPE = RECIPES["aws-similar-items"]


def near(model: Model, item: str) -> list[str]:
    numbers, _ = model.components[0].table.row(model.items.numbers[item])
    return [model.items[number] for number in numbers.tolist()]


def test_weights_are_shrunk_cosines_of_users(shop: Dataset) -> None:
    config = training_config(algorithmHyperParameters={"shrinkage": "2", "content_weight": "0"})
    model = RECIPE.fit(shop, config, silent)
    found = dict(model.recommend(item_id="cup", relevance=True))
    # cup: ann, bob, cid. tea: ann, bob, eve. spoon: bob, cid. 茶碗: cid.
    assert found["tea"] == pytest.approx(2 / 3 * 2 / 4, abs=1e-6)
    assert found["spoon"] == pytest.approx(2 / sqrt(6) * 2 / 4, abs=1e-6)
    assert found["茶碗 ☕"] == pytest.approx(1 / sqrt(3) * 1 / 3, abs=1e-6)
    assert near(model, "cup") == ["spoon", "tea", "茶碗 ☕"]


def test_a_new_item_is_compared_by_its_text(shop: Dataset) -> None:
    model = RECIPE.fit(shop, TrainingConfig(), silent)
    assert near(model, "mug")[0] == "cup"
    assert "mug" in near(model, "cup")


def test_without_texts_a_new_item_has_no_neighbours(shop: Dataset) -> None:
    model = RECIPE.fit(shop, training_config(algorithmHyperParameters={"content_weight": "0"}), silent)
    assert near(model, "mug") == []
    popular = RECIPES["aws-popularity-count"].fit(shop, TrainingConfig(), silent)
    listed = model.recommend(item_id="mug", limit=3, relevance=True)
    assert [item for item, _ in listed] == [item for item, _ in popular.recommend(limit=3)]
    assert {score for _, score in listed} == {0.0}


def test_excluded_columns_are_not_read(shop: Dataset) -> None:
    excluded: dict[str, Any] = {"Items": ["ITEM_NAME", "CATEGORY"]}
    config = training_config(trainingDataConfig={"excludedDatasetColumns": excluded})
    assert near(RECIPE.fit(shop, config, silent), "mug") == []


def test_words_are_weighed_by_their_rarity(shop: Dataset) -> None:
    words = vectors(shop)
    assert words is not None
    alike = (words @ words.T).toarray()
    number = {item: place for place, item in enumerate(shop.item_ids)}
    mug = alike[number["mug"]]
    assert mug[number["mug"]] == pytest.approx(1, abs=1e-6)
    assert mug[number["cup"]] > mug[number["spoon"]] > mug[number["lamp"]] == 0


def test_a_shop_without_texts_has_no_vectors(two_tastes: Dataset) -> None:
    assert vectors(two_tastes) is None


def test_dense_and_sparse_blocks_are_the_same(shop: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    dense = RECIPE.fit(shop, TrainingConfig(), silent)
    monkeypatch.setattr(ease, "DENSE_ITEMS", 3)
    wide = RECIPE.fit(shop, TrainingConfig(), silent)
    for item in shop.item_ids:
        assert dict(wide.recommend(item_id=item, relevance=True)) == pytest.approx(
            dict(dense.recommend(item_id=item, relevance=True)), abs=1e-6
        )
