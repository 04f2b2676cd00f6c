"""The five recommenders of the ECOMMERCE domain."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from pathlib import Path

import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset
from shared.models import Model, load, save
from tests.support.training import training_config

Rows = list[tuple[str, str, int, str]]
Read = Callable[[Rows], Dataset]

BY_VIEWS = RECIPES["aws-ecomm-popular-items-by-views"]
BY_PURCHASES = RECIPES["aws-ecomm-popular-items-by-purchases"]
TOGETHER = RECIPES["aws-ecomm-frequently-bought-together"]
ALSO_VIEWED = RECIPES["aws-ecomm-customers-who-viewed-x-also-viewed"]
FOR_YOU = RECIPES["aws-ecomm-recommended-for-you"]


def names(listed: list[tuple[str, float | None]]) -> list[str]:
    return [item for item, _ in listed]


def related(model: Model, item: str, user: str | None = None) -> list[str]:
    listed = model.recommend(item_id=item, user_id=user, relevance=True)
    return [other for other, score in listed if score]


def test_what_a_request_must_name() -> None:
    assert {name: recipe.needs for name, recipe in RECIPES.items() if recipe.domain == "ECOMMERCE"} == {
        "aws-ecomm-popular-items-by-views": ("userId",),
        "aws-ecomm-popular-items-by-purchases": ("userId",),
        "aws-ecomm-frequently-bought-together": ("itemId",),
        "aws-ecomm-customers-who-viewed-x-also-viewed": ("userId", "itemId"),
        "aws-ecomm-recommended-for-you": ("userId",),
    }


def test_views_are_counted_and_not_viewers(read: Read) -> None:
    rows: Rows = [("a", "often", day, "View") for day in range(5)]
    rows += [(user, "widely", 0, "View") for user in "abc"]
    rows += [(user, "bought", 0, "Purchase") for user in "abcdefg"]
    assert names(BY_VIEWS.fit(read(rows), TrainingConfig(), silent).recommend(limit=2)) == ["often", "widely"]
    assert names(BY_PURCHASES.fit(read(rows), TrainingConfig(), silent).recommend(limit=1)) == ["bought"]


def test_a_solutions_own_event_type_changes_nothing(read: Read) -> None:
    rows: Rows = [("a", "x", 0, "View"), ("a", "y", 0, "Purchase"), ("b", "y", 0, "Purchase")]
    model = BY_VIEWS.fit(read(rows), training_config(eventType="Purchase"), silent)
    assert names(model.recommend(limit=1)) == ["x"]


def test_together_means_by_one_customer_on_one_day(read: Read) -> None:
    rows: Rows = []
    for number in range(3):
        rows += [(f"u{number}", item, number, "Purchase") for item in ("cup", "saucer")]
        rows += [(f"u{number}", "lamp", number + 7, "Purchase")]
        rows += [(f"u{number}", "viewed", number, "View")]
    model = TOGETHER.fit(read(rows), TrainingConfig(), silent)
    assert related(model, "cup") == ["saucer"]
    # Three days with cup and saucer, three with the lamp alone.
    found = dict(model.recommend(item_id="cup", relevance=True))
    assert found["saucer"] == pytest.approx(3 / sqrt(9) * 3 / 13, abs=1e-6)
    assert related(model, "lamp") == []


def test_two_customers_of_one_day_are_two_baskets(read: Read) -> None:
    rows: Rows = [("a", "x", 0, "Purchase"), ("b", "y", 0, "Purchase"), ("b", "z", 0, "Purchase")]
    model = TOGETHER.fit(read(rows), TrainingConfig(), silent)
    assert related(model, "x") == []
    assert related(model, "y") == ["z"]


SHOP: Rows = [
    *((user, item, 0, "View") for user in "abcd" for item in ("tea", "cup", "spoon")),
    ("a", "cup", 1, "Purchase"),
    ("b", "spoon", 0, "PURCHASE"),
    ("e", "tea", 0, "Purchase"),
]


def test_also_viewed_leaves_out_what_the_user_bought(read: Read) -> None:
    model = ALSO_VIEWED.fit(read(SHOP), TrainingConfig(), silent)
    assert set(related(model, "tea")) == {"cup", "spoon"}
    assert "cup" not in names(model.recommend(item_id="tea", user_id="a"))
    assert "spoon" not in names(model.recommend(item_id="tea", user_id="b"))
    assert set(related(model, "tea", "nobody")) == {"cup", "spoon"}
    live = model.recommend(item_id="tea", user_id="new", history=[("cup", "Order Completed", 5)])
    assert "cup" not in names(live)


def test_recommended_for_you_never_returns_what_was_bought(read: Read, tmp_path: Path) -> None:
    fitted = FOR_YOU.fit(
        read(SHOP), training_config(algorithmHyperParameters={"exclude_seen": "false"}), silent
    )
    save(fitted, tmp_path)
    for model in (fitted, load(tmp_path)):
        assert set(names(model.recommend(user_id="a"))) == {"tea", "spoon"}
        assert set(names(model.recommend(user_id="e"))) == {"cup", "spoon"}
        assert set(names(model.recommend(user_id="c"))) == {"tea", "cup", "spoon"}
        history = [("cup", "view", 7), ("tea", "purchase", 8)]
        assert set(names(model.recommend(user_id="c", history=history))) == {"cup", "spoon"}
        batch = {user: set(items) for user, items, _ in model.recommend_many(["a", "c"], 10)}
        assert batch == {"a": {"tea", "spoon"}, "c": {"tea", "cup", "spoon"}}


def test_purchases_older_than_the_kept_history_are_left_out_too(read: Read) -> None:
    rows: Rows = [("a", "first", 0, "Purchase")]
    rows += [("a", f"i{n}", n + 1, "View") for n in range(150)]
    rows += [("b", item, 1, "View") for item in ("first", "i149", "i148")]
    model = FOR_YOU.fit(
        read(rows), training_config(algorithmHyperParameters={"exclude_seen": "false"}), silent
    )
    assert "first" not in names(model.recommend(user_id="a", limit=200))
    assert "first" in names(model.recommend(user_id="b", limit=200))
