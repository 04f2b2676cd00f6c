"""Which items are young, and their bonus."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shared.aws.personalize.exploration import Exploration
from shared.models import Histories, Ids, Model, Scoring, SeenItems
from shared.models.exploration import Bonus, eligible

DAY = 86_400
NEWEST = 1_000 * DAY


@pytest.fixture
def model() -> Model:
    empty = np.zeros(0, np.int32)
    return Model(
        recipe="test",
        scoring=Scoring(kind="user", scored=True),
        items=Ids.of("abcd"),
        users=Ids.of([]),
        popularity=np.zeros(4, np.float32),
        histories=Histories(np.zeros(1, np.int64), empty, empty.astype(np.int16), empty.astype(np.int64)),
        older=SeenItems(np.zeros(1, np.int64), empty),
        first_event_times=np.array([NEWEST - 5 * DAY, NEWEST - 90 * DAY, 0, 0]),
        newest_event_time=NEWEST,
    )


def test_age_counts_from_the_newest_event(model: Model) -> None:
    created = np.array([NEWEST - 29 * DAY, NEWEST - 31 * DAY, NEWEST + DAY, np.nan])
    assert eligible(model, created, Exploration()).tolist() == [0, 2]
    assert eligible(model, created, Exploration(age_cut_off=40)).tolist() == [0, 1, 2]


def test_an_unknown_age_counts_from_the_first_event_only_if_exploration_is_configured(model: Model) -> None:
    assert eligible(model, None, Exploration()).tolist() == []
    config = Exploration.of({"explorationWeight": "0.3"})
    assert eligible(model, None, config).tolist() == [0, 2, 3]
    old = np.array([NEWEST - 400 * DAY, np.nan, np.nan, NEWEST - 400 * DAY])
    assert eligible(model, old, config).tolist() == [2]
    assert eligible(replace(model, first_event_times=np.zeros(0, np.int64)), None, config).tolist() == []


def test_items_with_more_exposures_get_a_smaller_bonus() -> None:
    rng = np.random.default_rng(1)
    bonus = Bonus.of(np.array([1, 3]), np.array([0.0, 99.0]), 0.5, 5, rng)
    draws = np.array([bonus.sample() for _ in range(500)])
    assert draws[:, [0, 2, 4]].max() == 0
    assert 0.25 <= draws[:, 1].min() < draws[:, 1].max() <= 0.5
    assert draws[:, 3].max() <= 0.05
    assert [bonus.covers(number) for number in range(5)] == [False, True, False, True, False]


@pytest.mark.parametrize(
    "config",
    [
        {"explorationWeight": "1.1"},
        {"explorationWeight": "-0.1"},
        {"explorationWeight": "much"},
        {"explorationWeight": "nan"},
        {"explorationItemAgeCutOff": "0"},
        {"explorationItemAgeCutOff": "inf"},
        {"weight": "0.3"},
    ],
)
def test_invalid_settings_are_rejected(config: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="xploration"):
        Exploration.of(config)


def test_settings_are_strings_with_the_defaults_of_aws() -> None:
    assert Exploration.of(None) == Exploration(0.3, 30.0, is_asked_for=False)
    given = Exploration.of({"explorationWeight": "0", "explorationItemAgeCutOff": "7.5"})
    assert given == Exploration(0.0, 7.5, is_asked_for=True)
