"""Scores that lean towards an attribute, as far as was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, evaluate
from services.engine.training.recipes.objective import rewards
from shared.errors import Permanent
from shared.models import Model, load, save
from tests.support.training import training_config

RECIPE = RECIPES["aws-user-personalization"]
ITEMS = 120
LEVELS = ("OFF", "LOW", "MEDIUM", "HIGH")


def config(sensitivity: str, attribute: str = "PRICE") -> TrainingConfig:
    return training_config(
        optimizationObjective={"itemAttribute": attribute, "objectiveSensitivity": sensitivity}
    )


@pytest.fixture(scope="module")
def priced() -> Dataset:
    """Two tastes of sixty items each; prices have nothing to do with taste."""
    chance = np.random.default_rng(5)
    rows = [
        (f"u{user}", f"i{(user % 2) * 60 + int(step)}", 1_700_000_000 + 3600 * when + user)
        for user in range(240)
        for when, step in enumerate(chance.choice(60, 8, replace=False))
    ]
    users, items, times = zip(*rows, strict=True)
    events = pa.table({"USER_ID": users, "ITEM_ID": items, "TIMESTAMP": pa.array(times, pa.int64())})
    names = [f"i{number}" for number in range(ITEMS)]
    prices = np.exp(chance.normal(3, 1, ITEMS)).round(2)
    return Dataset.from_arrow(events, pa.table({"ITEM_ID": names, "PRICE": prices, "NAME": names}))


@pytest.fixture(scope="module")
def models(priced: Dataset) -> dict[str, Model]:
    return {level: RECIPE.fit(priced, config(level), silent) for level in LEVELS}


def mean_rank(model: Model, dataset: Dataset) -> float:
    prices = dataset.item_columns["PRICE"]
    ranks = dict(zip(dataset.item_ids, np.argsort(np.argsort(prices)) / (ITEMS - 1), strict=True))
    lists = [items for _, items, _ in model.recommend_many(None, 25)]
    return float(np.mean([ranks[item] for items in lists for item in items]))


def test_each_sensitivity_goes_its_share_of_the_way(models: dict[str, Model], priced: Dataset) -> None:
    start = mean_rank(models["OFF"], priced)
    # The dearest 25 of 120, for everybody: some have bought of them already.
    end = 1 - 12 / (ITEMS - 1)
    shares = [(mean_rank(models[level], priced) - start) / (end - start) for level in LEVELS]
    assert shares == pytest.approx([0, 0.1, 0.3, 0.6], abs=0.06)


def of_own_taste(model: Model) -> float:
    """How many of the items that users are recommended are of their own taste."""
    lists = [(user, items) for user, items, _ in model.recommend_many(None, 25)]
    own = [int(item[1:]) // 60 == int(user[1:]) % 2 for user, items in lists for item in items]
    return float(np.mean(own))


def test_relevance_pays_for_it_and_the_scores_stay_a_distribution(models: dict[str, Model]) -> None:
    for level in LEVELS:
        listed = models[level].recommend(history=[("i3", "view", 5), ("i4", "view", 6)], limit=ITEMS)
        scores = [score or 0.0 for _, score in listed]
        assert scores == sorted(scores, reverse=True)
        assert 0 < sum(scores) <= 1.0001
    relevant = [of_own_taste(models[level]) for level in LEVELS]
    assert relevant == sorted(relevant, reverse=True)
    assert relevant[0] == 1.0
    assert relevant[-1] < 1.0


def test_the_tilt_is_kept_with_the_model(models: dict[str, Model], tmp_path: Path) -> None:
    save(models["HIGH"], tmp_path)
    loaded = load(tmp_path)
    assert loaded.recommend(user_id="u1") == models["HIGH"].recommend(user_id="u1")
    assert loaded.notes["objective"]["attribute"] == "PRICE"
    assert loaded.notes["objective"]["weight"] > 0


def test_off_changes_nothing(models: dict[str, Model], priced: Dataset) -> None:
    plain = RECIPE.fit(priced, TrainingConfig(), silent)
    assert list(plain.recommend_many(None, 10)) == list(models["OFF"].recommend_many(None, 10))


def test_rewards_are_the_share_of_what_could_be_earned(priced: Dataset) -> None:
    dataset = Dataset.from_arrow(
        pa.table({"USER_ID": ["u"], "ITEM_ID": ["a"], "TIMESTAMP": [1]}),
        pa.table({"ITEM_ID": ["a", "b", "c", "free"], "PRICE": [10.0, 30.0, 60.0, 0.0]}),
    )
    far = [str(number) for number in range(25)]
    lists = [(["a", "x", "c"], {"a", "b"}), ([*far, "c"], {"c"}), (["a"], {"free"}), (["b"], {"b"})]
    # 10 of 40; 0 of 60, being the 26th; nothing to earn; 30 of 30.
    assert rewards(lists, dataset, config("LOW")) == {"average_rewards_at_k": round((0.25 + 0 + 1) / 3, 4)}
    assert rewards(lists, dataset, TrainingConfig()) == {}
    assert rewards([], dataset, config("LOW")) == {"average_rewards_at_k": 0.0}


def test_the_metrics_of_a_version_have_the_rewards(priced: Dataset) -> None:
    found = evaluate(RECIPE, priced, config("LOW"))
    assert 0 < found["average_rewards_at_k"] <= 1
    assert "average_rewards_at_k" not in evaluate(RECIPE, priced, TrainingConfig())


@pytest.mark.parametrize("attribute", ["NAME", "WEIGHT"])
def test_an_attribute_that_is_no_number_fails_with_a_sentence(priced: Dataset, attribute: str) -> None:
    with pytest.raises(Permanent, match=f"{attribute} is no numeric column.*NAME, PRICE"):
        RECIPE.fit(priced, config("LOW", attribute), silent)
