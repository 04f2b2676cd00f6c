"""aws-semantic-similarity: items that read alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.methods.tfidf import vectors
from services.engine.training.recipes import RECIPES, Dataset, train
from shared.errors import Permanent
from shared.models import Model
from tests.support.training import training_config
from tests.unit.engine.training.conftest import START, interactions

RECIPE = RECIPES["aws-semantic-similarity"]


def related(model: Model, item: str) -> list[str]:
    return [other for other, score in model.recommend(item_id=item, relevance=True) if score]


def test_the_similarity_is_the_cosine_of_the_texts(shop: Dataset) -> None:
    words = vectors(shop)
    assert words is not None
    cosines = (words @ words.T).toarray()
    model = RECIPE.fit(shop, TrainingConfig(), silent)
    for number, item in enumerate(shop.item_ids):
        near, weights = model.components[0].table.row(number)
        expected = {
            other: cosines[number, other] for other in np.flatnonzero(cosines[number]) if other != number
        }
        assert dict(zip(near.tolist(), weights.tolist(), strict=True)) == pytest.approx(expected, abs=1e-6)
        assert item not in [other for other, _ in model.recommend(item_id=item, limit=50)]


def test_it_works_without_interactions(shop: Dataset) -> None:
    model = RECIPE.fit(shop.where(shop.users < 0), TrainingConfig(), silent)
    assert related(model, "mug")[0] == "cup"
    assert len(model.recommend(item_id="nothing known", limit=3)) == 3


def test_it_is_trained_and_evaluated_without_interactions(shop: Dataset) -> None:
    model, metrics = train(RECIPE, shop.where(shop.users < 0), TrainingConfig())
    assert related(model, "mug")[0] == "cup"
    assert metrics["coverage"] == metrics["mean_reciprocal_rank_at_25"] == 0


def test_interactions_change_no_likeness(shop: Dataset) -> None:
    with_them, without = (
        RECIPE.fit(shop, TrainingConfig(), silent),
        RECIPE.fit(shop.where(shop.users < 0), TrainingConfig(), silent),
    )
    assert all(related(with_them, item) == related(without, item) for item in shop.item_ids)


def test_excluded_and_not_included_columns_are_not_read(shop: Dataset) -> None:
    def fitted(**chosen: Any) -> Model:
        return RECIPE.fit(shop, training_config(trainingDataConfig=chosen), silent)

    assert "lamp" in related(fitted(), "bulb")
    assert "lamp" not in related(fitted(excludedDatasetColumns={"Items": ["CATEGORY"]}), "bulb")
    assert "lamp" not in related(fitted(includedDatasetColumns={"ITEMS": ["ITEM_NAME"]}), "bulb")
    with pytest.raises(Permanent, match="no column of text"):
        fitted(includedDatasetColumns={"ITEMS": ["PRICE"]})


@pytest.fixture
def socks() -> Dataset:
    """Three like socks: the first is asked about, one of the others is popular, one new."""
    events = [(f"u{n}", "popular", 0, "view") for n in range(9)] + [("u0", "asked", 0, "view")]
    order = ["asked", "fresh", "other", "popular"]
    said = {"asked": "red wool sock", "popular": "red wool sock", "fresh": "red wool sock"}
    created = {"asked": START, "popular": START - 9000, "fresh": START + 9000}
    items = pa.table(
        {
            "ITEM_ID": order,
            "ITEM_NAME": [said.get(name, "steel nail") for name in order],
            "CREATION_TIMESTAMP": pa.array([created.get(name) for name in order], pa.int64()),
        }
    )
    return Dataset.from_arrow(interactions(events), items)


def test_popularity_and_freshness_order_what_is_as_like(socks: Dataset) -> None:
    model = RECIPE.fit(socks, TrainingConfig(), silent)

    def first(**influence: float) -> str:
        asked = replace(model, influence=influence)
        live = asked.recommend(item_id="asked", relevance=True)
        ((_, items, scores),) = asked.recommend_many(["asked"], 5)
        assert [item for item, _ in live][:5] == items
        assert all(0 <= score <= 1 for score in scores)
        assert scores == sorted(scores, reverse=True)
        return live[0][0]

    assert first(POPULARITY=1.0) == "popular"
    assert first(FRESHNESS=1.0) == "fresh"
    assert first(POPULARITY=1.0, FRESHNESS=0.1) == "popular"
