"""The simulator's report, and the arguments that it refuses."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from services.router.commands.simulate import Truth, report, simulate
from services.router.commands.simulated_clicks import click, preference_report
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


class Gateway:
    """A gateway whose answers have three items of each variant; it keeps the events."""

    def __init__(self, items: int = 3) -> None:
        self.items = [
            {"product_id": f"i{number}", "picked_by": variant}
            for number in range(items)
            for variant in ("control", "treatment")
        ]
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, path: str, body: Any = None) -> tuple[Any, dict[str, str]]:
        if method == "POST":
            self.events += body
            return None, {}
        if path.startswith("/v1/recommendations/"):
            return {"items": self.items}, {}
        return {"recommendation_id": "RID-1"}, {}


def test_visitors_of_an_interleaving_experiment_click_by_the_rate_of_who_picked() -> None:
    gateway, rates = Gateway(), {"control": 0.2, "treatment": 0.5}
    clicks = click(cast("Any", gateway), "s", 400, rates, random.Random(1))

    assert sum(clicks.by_variant.values()) == len(gateway.events)
    assert clicks.by_variant["control"] == pytest.approx(400 * 3 * 0.2, rel=0.2)
    assert clicks.by_variant["treatment"] == pytest.approx(400 * 3 * 0.5, rel=0.2)
    assert clicks.wins > clicks.losses
    assert {event["recommendation_id"] for event in gateway.events} == {"RID-1"}
    comparison = {
        "wins": 9, "losses": 3, "p": None, "one_look_p": 0.01, "verdict": "too few units",
    }  # fmt: skip
    rows = [
        {"variant": "control", "credit": 5.0, "comparison": None},
        {"variant": "treatment", "credit": 9.0, "comparison": comparison},
    ]
    text = preference_report("s", 400, rates, clicks, {"preferences": [{"variants": rows}]})
    assert "prefer the treatment: sent" in text
    assert "at any look: –; at one look: 0.01" in text


def test_a_shop_without_items_ends_an_interleaved_simulation() -> None:
    with pytest.raises(SystemExit, match="train first"):
        click(cast("Any", Gateway(0)), "s", 2, {}, random.Random(1))
