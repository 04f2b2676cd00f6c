"""The simulator's report, and the arguments that it refuses."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from services.router.commands.simulate import simulate
from services.router.commands.simulated_visitors import Sent, Truth, Visitors
from services.router.commands.simulation_report import best, finding, report
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
    sent = Sent(Counter(a=1_000, b=1_000), Counter(a=50, b=70))
    text = report("test", Truth(0.05, 0.065), sent, results.model_dump())

    assert "test: 2000 visitors" in text
    assert "relative effect: true +30.0%, estimated +40.0%" in text
    assert "no difference shown" in text
    assert "a            1000     1000      50  0.0500   0.0500" in text


def test_a_bandit_is_reported_by_its_periods() -> None:
    def period(version: int, weight: float, units: int) -> dict[str, Any]:
        weights = {"control": 1 - weight, "treatment": weight}
        return {"version": version, "weights": weights, "units": {"control": units, "treatment": units}}

    variants = [
        {"variant": name, "units": 300, "weight": weight, "mean": {"value": 0.1}, "best": chance}
        for name, weight, chance in (("control", 1, 0.03), ("treatment", 3, 0.97))
    ]
    bandit = {"variants": variants, "periods": [period(1, 0.5, 100), period(2, 0.9, 200)]}
    results = {"bandit": bandit, "health": {"problems": []}}
    sent = Sent(Counter(control=150, treatment=450), Counter(control=15, treatment=60))

    assert finding(results) == "better"
    assert best(results) == ", the best with 97.0%, a share of 75%"
    text = report("test", Truth(0.1, 0.13), sent, results)
    assert "version 2: weight 0.90 of the treatment, 400 visitors" in text
    assert "75% of the visitors got the treatment" in text
    variants[1]["best"] = 0.9
    assert finding(results) == "no difference shown"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "0"],
        ["--rate", "0.9"],
        ["--visitors", "0"],
        ["--group", "-1"],
        ["--activity", "-1"],
        ["--minutes", "-1"],
    ],
)
def test_impossible_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        simulate(["--key", "ek_test", *arguments])


def test_a_gateway_that_does_not_answer_ends_the_simulation() -> None:
    with pytest.raises(SystemExit, match="does not answer"):
        simulate(["--key", "ek_test", "--url", "http://127.0.0.1:9", "--visitors", "1"])


class Gateway:
    """A gateway whose answers have three items of each variant; it keeps the events."""

    def __init__(self, variant: str, items: int = 3) -> None:
        self.variant = variant
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
        rows = [{"product_id": item["product_id"]} for item in self.items]
        return {"recommendation_id": "RID-1", "recommendations": rows}, {"x-variant": self.variant}


def come(gateway: Gateway, truth: Truth, count: int, *, click: bool) -> Sent:
    """Let visitors come in two groups; return what they did."""
    visitors = Visitors(cast("Any", gateway), "s", truth, random.Random(1), click=click)
    for _ in range(2):
        visitors.come(count // 2)
    return visitors.sent


def test_visitors_of_an_interleaving_experiment_click_by_the_rate_of_who_picked() -> None:
    gateway, truth = Gateway("interleaved"), Truth(0.2, 0.5)
    sent = come(gateway, truth, 400, click=True)

    assert sent.events.total() == len(gateway.events)
    assert sent.events["control"] == pytest.approx(400 * 3 * 0.2, rel=0.2)
    assert sent.events["treatment"] == pytest.approx(400 * 3 * 0.5, rel=0.2)
    assert sent.wins > sent.losses
    assert {event["recommendation_id"] for event in gateway.events} == {"RID-1"}
    assert len({event["user_id"] for event in gateway.events}) > 300
    comparison = {
        "wins": 9, "losses": 3, "p": None, "one_look_p": 0.01, "verdict": "too few units",
    }  # fmt: skip
    rows = [
        {"variant": "control", "credit": 5.0, "comparison": None},
        {"variant": "treatment", "credit": 9.0, "comparison": comparison},
    ]
    results = {"preferences": [{"variants": rows}]}
    assert finding(results) == "too few units"
    text = report("s", truth, sent, results)
    assert "prefer the treatment: sent" in text
    assert "at any look: –; at one look: 0.01" in text


def test_visitors_of_a_split_click_the_items_of_their_variant() -> None:
    gateway = Gateway("treatment")
    sent = come(gateway, Truth(0.1, 0.4), 300, click=True)

    assert sent.visitors == {"treatment": 300}
    assert sent.shown == {"treatment": 1_800}
    assert sent.events["treatment"] == len(gateway.events) == pytest.approx(1_800 * 0.4, rel=0.1)


def test_visitors_purchase_and_some_do_more_than_others() -> None:
    alike, different = Gateway("control"), Gateway("control")
    of_alike = come(alike, Truth(0.3, 0.6), 1_000, click=False)
    of_different = come(different, Truth(0.05, 0.1, activity=0.5), 2_000, click=True)

    assert of_alike.events["control"] == len(alike.events) == pytest.approx(300, rel=0.15)
    # 0.3 clicks for each visitor; Poisson's zeros would be 74 %, and these are (1 + 0.6)^-0.5 = 79 %.
    assert of_different.events["control"] == pytest.approx(2_000 * 6 * 0.05, rel=0.2)
    assert len({event["user_id"] for event in different.events}) == pytest.approx(2_000 * 0.21, rel=0.12)


def test_a_shop_without_items_ends_a_simulation_with_clicks() -> None:
    with pytest.raises(SystemExit, match="train first"):
        come(Gateway("interleaved", items=0), Truth(0.1, 0.1), 2, click=True)
