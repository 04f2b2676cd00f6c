"""Switchbacks: which variant a window has, and results whose units are windows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from services.recommender.store.exposures import exposure_id
from services.router.domain.experiments import Definition, StoredVersion
from services.router.domain.metric_sums import WindowSums
from services.router.domain.results import Results
from services.router.domain.switchbacks import switchback_results
from services.router.statistics import SampleSums, ratio_moments
from shared.experiments import Experiment

NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)
HOUR = 3_600
METRICS = [
    {"name": "bought", "event": "purchase"},
    {"name": "value", "event": "purchase", "measure": "value"},
]


def a_version(*names: str, **fields: Any) -> StoredVersion:
    document = {
        "tenant": "shop",
        "name": "turns",
        "version": 1,
        "surface": "recommendations",
        "variants": [{"name": name} for name in names or ("a", "b")],
        "traffic": 1.0,
        "salt": "salt",
        "status": "running",
        "created_at": NOW,
        "started_at": NOW,
        "metrics": METRICS,
        "design": {"kind": "switchback"},
    }
    return StoredVersion.model_validate(document | fields)


def test_all_units_have_the_variant_of_the_window_and_each_block_has_every_variant() -> None:
    version = a_version("a", "b", "c")
    by_window = []
    for window in range(3_000):
        begin = window * HOUR
        variants = {version.assign(f"u{n}", at) for n in range(3) for at in (begin, begin + HOUR - 1)}
        (variant,) = variants
        assert variant is not None
        by_window.append(variant.name)

    blocks = [tuple(by_window[begin : begin + 3]) for begin in range(0, 3_000, 3)]
    assert {tuple(sorted(block)) for block in blocks} == {("a", "b", "c")}
    orders = Counter(blocks)
    assert len(orders) == 6
    assert all(abs(count - 1_000 / 6) < 4 * (1_000 * 5 / 36) ** 0.5 for count in orders.values())
    assert version.propensity(version.variants[0]) == pytest.approx(1 / 3)


def test_a_unit_is_exposed_once_in_each_window() -> None:
    version = a_version()
    times = [datetime.fromtimestamp(seconds, UTC) for seconds in (7_200, 9_000, 10_799, 10_800)]
    ids = [exposure_id(version, "u1", at) for at in times]

    assert [version.window(at.timestamp()) for at in times] == [2, 2, 2, 3]
    assert len(set(ids)) == 2
    assert ids[0] == ids[2]
    assert Experiment.of(version.changed()).design == version.design


def windows_of(rates: tuple[float, float], count: int, seed: int) -> WindowSums:
    """Return windows of hours whose rate and people follow the time of the day."""
    rng, version = np.random.default_rng(seed), a_version()
    people: dict[int, tuple[str, float]] = {}
    amounts: dict[tuple[int, str, int], float] = {}
    for window in range(count):
        variant = version.assign("u", window * HOUR)
        assert variant is not None
        n = int(rng.poisson(200 + 100 * np.sin(window / 24 * 2 * np.pi)))
        rate = rates["ab".index(variant.name)] * (1 + 0.3 * np.sin(window / 24 * 2 * np.pi))
        bought = float(rng.binomial(n, rate * rng.uniform(0.8, 1.2)))
        people[window] = variant.name, float(n)
        amounts[0, "y", window], amounts[1, "y", window] = bought, bought * 20
    return WindowSums([1], NOW, people, amounts)


def results_of(windows: WindowSums) -> Results:
    return switchback_results(a_version(), windows, relative_effect=0.1, now=NOW)


def test_a_metric_is_the_ratio_of_amounts_to_people_with_windows_as_clusters() -> None:
    windows = windows_of((0.05, 0.065), 400, 3)
    results = results_of(windows)

    for name, row in zip("ab", results.metrics[0].variants, strict=True):
        numbers = [number for number, (variant, _) in windows.people.items() if variant == name]
        y = np.array([windows.amounts[0, "y", number] for number in numbers])
        x = np.array([windows.people[number][1] for number in numbers])
        sums = SampleSums(*np.array([len(y), y.sum(), (y * y).sum(), x.sum(), (x * x).sum(), (x * y).sum()]))
        moments = ratio_moments(sums)
        assert row.mean.value == pytest.approx(y.sum() / x.sum()) == pytest.approx(float(moments.mean))
    comparison = results.metrics[0].variants[1].comparison
    assert comparison is not None
    assert comparison.relative.value == pytest.approx(0.3, abs=0.1)
    assert comparison.verdict == "better"
    assert [each.units for each in results.units] == [200, 200]
    assert results.metrics[1].metric.per is None
    assert len(results.windows) == 100
    assert results.windows[-1].began_at.timestamp() == 399 * HOUR


def test_few_windows_show_nothing_however_many_people_they_have() -> None:
    few = results_of(windows_of((0.05, 0.065), 30, 3)).metrics[0].variants[1].comparison
    assert few is not None
    assert few.verdict == "too few units"


def test_windows_without_an_effect_are_rarely_found_different() -> None:
    looks = [results_of(windows_of((0.05, 0.05), 100, seed)) for seed in range(200)]
    p_values = [look.metrics[0].variants[1].comparison.one_look.p for look in looks]  # type: ignore[union-attr]

    assert sum(p is not None and p < 0.05 for p in p_values) <= 20


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"surface": "holdout"}, "takes no switchback"),
        ({"variants": [{"name": "a", "weight": 2}, {"name": "b"}]}, "leave the weights out"),
        ({"design": {"kind": "switchback", "burn_in_minutes": 60}}, "less than window_minutes"),
        ({"metrics": [{"name": "m", "event": "click", "window_days": 3}]}, "no window_days"),
    ],
)
def test_a_definition_says_what_a_switchback_cannot_do(fields: dict[str, Any], message: str) -> None:
    usual = {"name": "turns", "surface": "recommendations", "variants": [{"name": "a"}, {"name": "b"}]}
    with pytest.raises(ValidationError, match=message):
        Definition.model_validate(usual | {"design": {"kind": "switchback"}} | fields)
