"""Preferences of an interleaving experiment: from credits of people to wins, ties and a verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from scipy import stats

from services.router.domain.experiments import Definition, StoredVersion
from services.router.domain.metric_sums import Credits, InterleavedSums
from services.router.domain.preferences import preferences_of
from services.router.domain.results import Preference

NOW = datetime.now(UTC)
DESIGN = {"kind": "interleaving"}


def a_version(**fields: Any) -> StoredVersion:
    document = {
        "tenant": "shop",
        "name": "mixed",
        "version": 1,
        "surface": "placement/home",
        "variants": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
        "traffic": 1.0,
        "salt": "salt",
        "status": "running",
        "created_at": NOW,
        "design": DESIGN,
    }
    return StoredVersion.model_validate(document | fields)


def preferences(credited: list[Credits], people: int, **metric: Any) -> dict[str, Preference]:
    version = a_version(metrics=[{"name": "clicks", "event": "click", **metric}])
    results = preferences_of(version, InterleavedSums([1], NOW, people, 0, {0: credited}))
    return {each.variant: each.comparison for each in results.preferences[0].variants if each.comparison}


def test_people_prefer_the_variant_with_more_credit() -> None:
    by_variant = preferences(
        [({"b": 1}, 60), ({"a": 1}, 35), ({"a": 1, "b": 2}, 5), ({"c": 3, "a": 3}, 4)], 200
    )

    b, c = by_variant["b"], by_variant["c"]
    assert (b.wins, b.losses, b.ties) == (65, 39, 96)
    assert b.share == pytest.approx((65 + 96 / 2) / 200)
    assert b.one_look_p == pytest.approx(stats.binomtest(65, 104).pvalue)
    assert b.low is not None
    assert b.high is not None
    assert 0.5 < b.low < b.share < b.high
    assert b.p is not None
    assert b.p > b.one_look_p
    assert b.verdict == "no difference shown"
    assert (c.wins, c.losses, c.ties, c.verdict) == (0, 40, 160, "worse")


def test_a_clear_preference_is_found_and_few_people_show_nothing() -> None:
    assert preferences([({"b": 1}, 120), ({"a": 1}, 40)], 1_000)["b"].verdict == "better"
    assert (
        preferences([({"b": 1}, 40), ({"a": 1}, 120)], 1_000, higher_is_better=False)["b"].verdict == "better"
    )
    assert preferences([({"b": 1}, 12)], 1_000)["b"].verdict == "too few units"
    assert preferences([], 0)["b"].share is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"surface": "campaign/c"}, "cannot be interleaved"),
        ({"surface": "holdout"}, "cannot be interleaved"),
        ({"variants": [{"name": "a"}, {"name": "interleaved"}]}, "name the variant otherwise"),
        (
            {"metrics": [{"name": "m", "event": "click", "per": {"event": "click"}}]},
            "take no per",
        ),
    ],
)
def test_a_definition_says_what_interleaving_cannot_do(fields: dict[str, Any], message: str) -> None:
    usual = {"name": "mixed", "surface": "placement/home", "variants": [{"name": "a"}, {"name": "b"}]}
    Definition.model_validate(usual | {"design": DESIGN})
    with pytest.raises(ValidationError, match=message):
        Definition.model_validate(usual | {"design": DESIGN} | fields)
