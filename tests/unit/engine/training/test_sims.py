"""aws-sims against its definition, knob by knob."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.engine.training.fitting import silent
from services.engine.training.methods.asymmetric_cosine import asymmetric_cosine
from services.engine.training.methods.user_item_matrix import binary_matrix
from services.engine.training.recipes import RECIPES, Dataset
from services.engine.training.recipes.recipe import Hyperparameters
from services.engine.training.recipes.sims import within_percentiles
from tests.support.training import training_config
from tests.unit.engine.training.conftest import interactions

RECIPE = RECIPES["aws-sims"]
# Everybody and everything: the percentiles of tiny data would leave little.
EVERYTHING = {
    "min_user_history_length_percentile": "0",
    "max_user_history_length_percentile": "1",
    "min_item_interaction_count_percentile": "0",
    "max_item_interaction_count_percentile": "1",
}

pairs = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=40)


def dataset(touched: set[tuple[int, int]]) -> Dataset:
    rows = [(f"u{user}", f"i{item}", user + item, "view") for user, item in sorted(touched)]
    return Dataset.from_arrow(interactions(rows))


@given(pairs, st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(0, 3))
def test_weights_are_those_of_the_definition(
    touched: set[tuple[int, int]], discount: float, fewest: int
) -> None:
    users = defaultdict(set)
    for user, item in touched:
        users[f"i{item}"].add(user)
    data = dataset(touched)
    table = asymmetric_cosine(binary_matrix(data), discount=discount, min_common=fewest, keep=500)
    for number, item in enumerate(data.item_ids):
        near, weights = table.row(number)
        found = {data.item_ids[other]: weight for other, weight in zip(near, weights.tolist(), strict=True)}
        common = {other: len(users[item] & users[other]) for other in users if other != item}
        expected = {
            other: count / (len(users[item]) ** (1 - discount) * len(users[other]) ** discount)
            for other, count in common.items()
            if count >= max(fewest, 1)
        }
        assert found == pytest.approx(expected, abs=1e-6)
        assert weights.tolist() == sorted(weights.tolist(), reverse=True)
        assert all(0 < weight <= 1 + 1e-6 for weight in found.values())


def test_the_discount_chooses_between_the_popular_and_the_particular() -> None:
    # Everybody who touched x touched "hit", as everybody else; three of four who touched "rare" touched x.
    rows = [("hit", user) for user in range(20)] + [("x", user) for user in range(4)]
    rows += [("rare", user) for user in (0, 1, 2, 19)]
    data = Dataset.from_arrow(interactions([(f"u{user}", item, 0, "view") for item, user in rows]))

    def first(discount: str) -> str:
        config = training_config(
            algorithmHyperParameters={**EVERYTHING, "popularity_discount_factor": discount}
        )
        return RECIPE.fit(data, config, silent).recommend(item_id="x", limit=1)[0][0]

    assert first("0") == "hit"
    assert first("1") == "rare"


def test_pairs_that_too_few_users_share_are_not_alike() -> None:
    rows = [("a", user) for user in range(5)] + [("b", user) for user in range(3)] + [("c", 0), ("c", 1)]
    data = Dataset.from_arrow(interactions([(f"u{user}", item, 0, "view") for item, user in rows]))

    def near(fewest: str) -> list[str]:
        config = training_config(algorithmHyperParameters={**EVERYTHING, "min_cointeraction_count": fewest})
        listed = RECIPE.fit(data, config, silent).recommend(item_id="a", relevance=True)
        return [item for item, score in listed if score]

    assert near("1") == ["b", "c"]
    assert near("3") == ["b"]
    assert near("4") == []


def kept(data: Dataset, **given: str) -> Dataset:
    return within_percentiles(
        data, Hyperparameters.of(training_config(algorithmHyperParameters=EVERYTHING | given), EVERYTHING)
    )


def test_percentiles_leave_out_the_shortest_and_longest_histories() -> None:
    rows = [(f"u{user:02}", f"i{n}", n, "view") for user in range(1, 21) for n in range(user)]
    data = Dataset.from_arrow(interactions(rows))

    def lengths(**given: str) -> list[int]:
        counts = np.bincount(kept(data, **given).users, minlength=len(data.user_ids))
        return counts[counts > 0].tolist()

    assert lengths() == list(range(1, 21))
    assert lengths(min_user_history_length_percentile="0.5") == list(range(10, 21))
    assert lengths(max_user_history_length_percentile="0.5") == list(range(1, 12))
    shaping = training_config(
        featureTransformationParameters={**EVERYTHING, "max_user_history_length_percentile": "0.5"}
    )
    assert len(within_percentiles(data, Hyperparameters.of(shaping, EVERYTHING))) == sum(range(1, 12))


def test_percentiles_leave_out_the_rarest_and_most_frequent_items() -> None:
    rows = [(f"u{user}", f"i{item:02}", 0, "view") for item in range(1, 21) for user in range(item)]
    data = Dataset.from_arrow(interactions(rows))

    def items(**given: str) -> set[str]:
        return {str(data.item_ids[item]) for item in kept(data, **given).items}

    assert items(max_item_interaction_count_percentile="0.9") == {f"i{item:02}" for item in range(1, 20)}
    assert items(min_item_interaction_count_percentile="0.9") == {"i18", "i19", "i20"}


def test_defaults_are_those_of_the_guide() -> None:
    assert RECIPE.hyperparameters == {
        "popularity_discount_factor": "0.5",
        "min_cointeraction_count": "3",
        "min_user_history_length_percentile": "0.005",
        "max_user_history_length_percentile": "0.995",
        "min_item_interaction_count_percentile": "0.01",
        "max_item_interaction_count_percentile": "0.9",
    }


def test_what_items_say_does_not_count(shop: Dataset) -> None:
    config = training_config(algorithmHyperParameters={**EVERYTHING, "min_cointeraction_count": "0"})
    model = RECIPE.fit(shop, config, silent)
    assert dict(model.recommend(item_id="mug", relevance=True))["cup"] == 0.0
