"""User segments: the same numbers as scoring each user, and metrics that know good from bad."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.methods import user_segments
from services.engine.training.recipes import RECIPES, Dataset, evaluate
from services.engine.training.recipes.recipe import Recipe
from services.engine.training.recipes.segment_attribute_affinity import ItemsByAttribute
from shared.errors import Permanent
from shared.models import Model
from tests.unit.engine.training.conftest import crowd

ITEM_AFFINITY = RECIPES["aws-item-affinity"]
ATTRIBUTE_AFFINITY = RECIPES["aws-item-attribute-affinity"]


@pytest.fixture(scope="module")
def tastes() -> Dataset:
    """Even users keep to the a items, odd ones to the b items; the a items are red, or red and big."""
    items = [f"{shelf}{number}" for shelf in "ab" for number in range(8)]
    colours = ["red|big" if item in {"a1", "a2"} else {"a": "red", "b": "blue"}[item[0]] for item in items]
    table = pa.table({"ITEM_ID": items, "COLOUR": colours, "PRICE": [float(n % 4) for n in range(16)]})
    return Dataset.from_arrow(crowd(120), table)


@pytest.fixture(scope="module")
def model(tastes: Dataset) -> Model:
    return ATTRIBUTE_AFFINITY.fit(tastes, TrainingConfig(), silent)


def scored(model: Model, user: str) -> dict[str, float]:
    """The user's raw score of every item, through the model's other door; shown scores are a softmax."""
    plain = model.scoring.model_copy(update={"scale": "plain", "exclude_seen": False})
    found = Model(
        model.recipe, plain, model.items, model.users, model.popularity, model.histories, model.older,
        model.components,
    ).recommend(user_id=user, limit=len(model.items), relevance=True)  # fmt: skip
    return {item: score or 0.0 for item, score in found}


def test_users_rank_as_their_own_scores_do(model: Model) -> None:
    item = model.items.numbers["a3"]
    scores = [scored(model, user)["a3"] for user in model.users.strings]

    [segment] = user_segments.user_segments(model, [np.array([item])], len(model.users))

    ranked = [scores[user] for user in segment.tolist()]
    assert ranked == pytest.approx(sorted(ranked, reverse=True), abs=2e-6)
    assert {int(user) for user in segment} == {n for n, score in enumerate(scores) if score > 2e-7}


def test_several_items_are_scored_by_their_sum(model: Model) -> None:
    chosen = [model.items.numbers[item] for item in ("a1", "b1")]
    totals = [sum(scored(model, user)[item] for item in ("a1", "b1")) for user in model.users.strings]

    [segment] = user_segments.user_segments(model, [np.array(chosen)], 10)

    assert [totals[user] for user in segment] == pytest.approx(sorted(totals, reverse=True)[:10], abs=1e-5)


def test_blocks_and_passes_change_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [np.array([item]) for item in range(len(model.items))]
    whole = user_segments.user_segments(model, targets, 20)

    monkeypatch.setattr(user_segments, "_CELLS_PER_BLOCK", 50)
    monkeypatch.setattr(user_segments, "_SPARE", 3)
    monkeypatch.setattr(user_segments, "_MAX_CANDIDATES", 200)
    pieces = user_segments.user_segments(model, targets, 20)

    assert user_segments.segments_per_pass(model, 20) == 4
    assert [found.tolist() for found in pieces] == [found.tolist() for found in whole]


def test_parts_that_are_no_tables_of_neighbours_count_too(tastes: Dataset) -> None:
    scorer = RECIPES["endcap-session"].fit(tastes, TrainingConfig(), silent)
    assert any(part.table.kind != "neighbours" for part in scorer.components)
    scores = [scored(scorer, user)["a3"] for user in scorer.users.strings]

    [segment] = user_segments.user_segments(scorer, [np.array([scorer.items.numbers["a3"]])], 20)

    assert [scores[user] for user in segment] == pytest.approx(sorted(scores, reverse=True)[:20], abs=1e-5)


def test_only_allowed_users_are_in_a_segment(model: Model) -> None:
    item = np.array([model.items.numbers["a3"]])
    [everybody] = user_segments.user_segments(model, [item], 5)
    mask = np.ones(len(model.users), bool)
    mask[everybody[:2]] = False

    [some] = user_segments.user_segments(model, [item], 3, [mask])

    assert some.tolist() == everybody[2:].tolist()


def test_users_of_a_cluster_of_items_are_found(model: Model) -> None:
    [segment] = user_segments.user_segments(
        model, [ItemsByAttribute(model).matching([("colour", "blue")])], 30
    )

    assert len(segment) == 30
    assert all(int(model.users.strings[user][1:]) % 2 == 1 for user in segment)


def test_conditions_are_met_together_and_a_cell_may_hold_several_values(model: Model) -> None:
    kinds = ItemsByAttribute(model)

    found = kinds.matching([("COLOUR", "red"), ("COLOUR", "big"), ("PRICE", "1")])

    assert [model.items.strings[item] for item in found] == ["a1"]
    assert kinds.matching([("COLOUR", "green")]).tolist() == []
    with pytest.raises(Permanent, match="no column SIZE; their columns are: COLOUR, PRICE"):
        kinds.matching([("SIZE", "1")])
    with pytest.raises(Permanent, match="PRICE holds numbers"):
        kinds.matching([("PRICE", "cheap")])


@pytest.mark.parametrize(
    # Half of the users have met a colour: one of them is found by chance every other time.
    ("recipe", "times"),
    [(ITEM_AFFINITY, 5), (ATTRIBUTE_AFFINITY, 1.4)],
)
def test_the_metrics_tell_a_pattern_from_noise(tastes: Dataset, recipe: Recipe, times: float) -> None:
    noise = [
        replace(tastes, items=np.random.default_rng(seed).permutation(tastes.items)) for seed in range(10)
    ]

    good = evaluate(recipe, tastes, TrainingConfig())
    bad = np.mean([evaluate(recipe, some, TrainingConfig())["hits_at_1_percent"] for some in noise])

    assert good["hits_at_1_percent"] > times * bad
    assert bad > 0
    assert 0 < good["recall_at_1_percent"] <= 1
    assert 0 < good["coverage"] <= 1
