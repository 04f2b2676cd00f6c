"""The simulator's report, and the arguments that it refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.router.commands.simulate import Truth, report, simulate
from services.router.domain.late_analysis import results_of
from services.router.domain.metric_sums import MetricSums, People
from tests.unit.router.test_analysis import CONVERSION, version


def test_the_report_sets_the_results_beside_the_truth() -> None:
    sums = MetricSums(
        [1],
        None,
        {"a": People(1_000), "b": People(1_000)},
        {(0, "a"): (50.0, 50.0, 0, 0, 0), (0, "b"): (70.0, 70.0, 0, 0, 0)},
    )
    now = datetime(2026, 11, 20, tzinfo=UTC)
    results = results_of(version(CONVERSION), sums, pre_days=0, relative_effect=0.1, now=now)
    visits = {f"u{n}": "ab"[n % 2] for n in range(2_000)}
    text = report("test", Truth(0.05, 0.065), visits, {"a": 50, "b": 70}, results.model_dump())

    assert "test: 2000 visitors" in text
    assert "relative effect: true +30.0%, estimated +40.0%" in text
    assert "no difference shown" in text
    assert "a            1000     1000      50  0.0500   0.0500" in text


@pytest.mark.parametrize("arguments", [["--rate", "0"], ["--rate", "0.9"], ["--visitors", "0"]])
def test_impossible_rates_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        simulate(["--key", "ek_test", *arguments])


def test_a_gateway_that_does_not_answer_ends_the_simulation() -> None:
    with pytest.raises(SystemExit, match="does not answer"):
        simulate(["--key", "ek_test", "--url", "http://127.0.0.1:9", "--visitors", "1"])
