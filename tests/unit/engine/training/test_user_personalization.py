from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, evaluate
from services.engine.training.selection import candidates
from shared.errors import Permanent
from shared.models import Neighbours
from tests.support.training import training_config

RECIPE = RECIPES["aws-user-personalization"]
POPULAR = RECIPES["aws-popularity-count"]


def items(listed: list[tuple[str, float | None]]) -> list[str]:
    return [item for item, _ in listed]


def test_it_beats_popularity_where_preferences_differ(two_tastes: Dataset) -> None:
    ours, popular = (
        evaluate(RECIPE, two_tastes, TrainingConfig()),
        evaluate(POPULAR, two_tastes, TrainingConfig()),
    )
    key = "mean_reciprocal_rank_at_25"
    assert ours[key] > 2 * popular[key]


def test_it_follows_the_order_of_events(two_tastes: Dataset) -> None:
    model = RECIPE.fit(two_tastes, TrainingConfig(), silent)
    assert items(model.recommend(history=[("a3", "view", 1)], limit=1)) == ["a4"]
    assert items(model.recommend(history=[("b6", "view", 1)], limit=1)) == ["b7"]


def test_the_newest_event_says_the_most(two_tastes: Dataset) -> None:
    model = RECIPE.fit(two_tastes, TrainingConfig(), silent)
    old, new = ("a1", "view", 1), ("b1", "view", 2)
    assert items(model.recommend(history=[old, new], limit=1)) == ["b2"]
    assert items(model.recommend(history=[new, old], limit=1)) == ["b2"]


def test_scores_are_a_distribution_over_the_catalogue(two_tastes: Dataset) -> None:
    model = RECIPE.fit(
        two_tastes, training_config(algorithmHyperParameters={"exclude_seen": "false"}), silent
    )
    scores = [score or 0 for _, score in model.recommend(user_id="u1", limit=100)]
    assert len(scores) == len(model.items)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert all(round(score, 7) == score for score in scores)


def test_seen_items_are_left_out_where_nobody_comes_back(two_tastes: Dataset) -> None:
    model = RECIPE.fit(two_tastes, TrainingConfig(), silent)
    assert model.notes["exclude_seen"] is True
    assert "a3" not in items(model.recommend(history=[("a3", "view", 1)], limit=100))


def test_the_setting_outranks_what_was_chosen(two_tastes: Dataset) -> None:
    model = RECIPE.fit(
        two_tastes, training_config(algorithmHyperParameters={"exclude_seen": "false"}), silent
    )
    assert "a3" in items(model.recommend(history=[("a3", "view", 1)], limit=100))
    with pytest.raises(Permanent, match="exclude_seen must be one of auto, true, false, not 'maybe'"):
        RECIPE.fit(two_tastes, training_config(algorithmHyperParameters={"exclude_seen": "maybe"}), silent)


def test_it_says_what_it_chose_and_why(two_tastes: Dataset) -> None:
    notes = RECIPE.fit(two_tastes, TrainingConfig(), silent).notes
    assert notes["held_out_users"] == 60
    assert 0 < notes["gain"] <= 1
    candidates = {"sequence", "ease", "together", "sessions", "two steps", "again"}
    assert {part["name"] for part in notes["parts"]} <= candidates
    assert {name.partition(",")[0] for name in notes["alone"]} == candidates
    assert all(0 <= gain <= 1 for gain in notes["alone"].values())


@pytest.mark.parametrize("bound", ["FEW_EVENTS", "_MOST_EVENTS_PER_USER"])
def test_larger_shops_and_long_histories_do_without_sessions(
    two_tastes: Dataset, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(candidates, bound, 1)
    names = {
        name.partition(",")[0] for name in RECIPE.fit(two_tastes, TrainingConfig(), silent).notes["alone"]
    }
    assert names == {"sequence", "ease", "together", "again"}


def test_two_steps_reach_what_was_never_together() -> None:
    """Half of the users go from a to b, the others from b to c: only two steps lead from a to c."""
    first = [(f"u{user}", item, place) for user in range(40) for place, item in enumerate("ab")]
    second = [(f"v{user}", item, place) for user in range(40) for place, item in enumerate("bc")]
    users, items_, times = zip(*first, *second, strict=True)
    dataset = Dataset.from_arrow(pa.table({"USER_ID": users, "ITEM_ID": items_, "TIMESTAMP": times}))
    methods = {method.name: method for method in candidates.user_candidates(dataset)}
    [build] = methods["two steps"].variants.values()
    table = build(dataset, {})
    assert isinstance(table, Neighbours)
    a, c = 0, 2
    assert c in table.row(a)[0]
    [near, *_] = methods["sequence"].variants.values()
    once = near(dataset, {})
    assert isinstance(once, Neighbours)
    assert c not in once.row(a)[0]


def test_events_already_known_count_once(two_tastes: Dataset) -> None:
    model = RECIPE.fit(two_tastes, TrainingConfig(), silent)
    stored = model.histories.table(model.users.numbers["u1"])
    known = [(model.items[int(item)], "view", int(when)) for item, _, when in stored]
    assert model.recommend(user_id="u1", history=known) == model.recommend(user_id="u1")
    assert model.recommend(user_id="u1", history=known[:1] * 5) == model.recommend(user_id="u1")


def test_only_the_configured_type_counts(shop: Dataset) -> None:
    model = RECIPE.fit(shop, training_config(eventType="Purchase"), silent)
    assert len(model.histories.items) == 7
    popular = model.recommend(user_id="nobody", limit=3)
    assert model.recommend(history=[("lamp", "View", 1)], limit=3) == popular
    assert model.recommend(history=[("bulb", "purchase", 1)], limit=3) != popular


@pytest.fixture
def shelves() -> Dataset:
    """A hundred users keep to one of twenty shelves, and meet four of its twelve things; one is untouched."""
    random = np.random.default_rng(5)
    rows = [
        (f"u{user}", f"{user % 20}-{item}", place)
        for user in range(100)
        for place, item in enumerate(random.choice(12, 4, replace=False))
    ]
    users, met, times = zip(*rows, strict=True)
    names = [f"{shelf}-{item}" for shelf in range(20) for item in range(12)] + ["0-new"]
    told = {
        "ITEM_ID": names,
        "CATEGORY": [f"shelf {name.partition('-')[0]}" for name in names],
        "STORE": ["one"] * len(names),
    }
    return Dataset.from_arrow(
        pa.table({"USER_ID": users, "ITEM_ID": met, "TIMESTAMP": times}), pa.table(told)
    )


def test_item_texts_reach_items_without_interactions(shelves: Dataset) -> None:
    model = RECIPE.fit(shelves, TrainingConfig(), silent)
    assert "words" in {part["name"] for part in model.notes["parts"]}
    assert "0-new" in items(model.recommend(user_id="u0", limit=12))


def test_excluded_columns_are_for_filters_alone(shelves: Dataset) -> None:
    config = training_config(trainingDataConfig={"excludedDatasetColumns": {"ITEMS": ["CATEGORY", "STORE"]}})
    model = RECIPE.fit(shelves, config, silent)
    assert not any(name.startswith("words") for name in model.notes["alone"])
    assert set(model.item_attributes.columns) == {"CATEGORY", "STORE"}
