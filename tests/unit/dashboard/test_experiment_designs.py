"""Experiments that are no split: their forms, and what their pages show."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.dashboard.domain.experiment_forms import definition, form_of
from services.router.domain.experiments import Definition
from tests.unit.dashboard.site import browser
from tests.unit.dashboard.test_experiments import ADMIN, Router, experiment, results

SHADOWED = {"switchback": {"variants": [{"name": "control"}, {"name": "new", "strategy": "for-you"}]}}
"""Variants without weights, which a switchback does not take."""


class Design(Router):
    """The router with an experiment whose results have other members."""

    def __init__(self, body: dict[str, Any], **members: Any) -> None:
        super().__init__(body)
        self.results = results() | members

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/results"):
            return httpx.Response(200, json=self.results)
        return super().__call__(request)


@pytest.mark.parametrize(
    "design",
    [
        {"kind": "interleaving", "window_days": 3.0},
        {"kind": "bandit", "period_minutes": 30, "floor": 0.02, "reward_hours": 1.5},
        {"kind": "switchback", "window_minutes": 120, "burn_in_minutes": 5},
        {"kind": "shadow", "share": 0.05},
    ],
)
def test_a_form_defines_each_design_with_its_members(design: dict[str, Any]) -> None:
    fields = form_of(experiment(design=design))
    stored, other, split = (
        definition(lambda name, kind=kind: (fields | {"design": kind}).get(name, ""))
        for kind in (design["kind"], "bandit" if design["kind"] == "shadow" else "shadow", "split")
    )
    router = Definition.model_validate(
        stored | {"surface": "placement/home", "metrics": None} | SHADOWED.get(design["kind"], {})
    )

    assert router.design.model_dump() == design
    assert set(other["design"]) == {"kind"}
    assert "design" not in split


def test_a_form_compares_the_answers_of_a_share() -> None:
    fields = form_of(experiment(trigger_share=0.25))
    assert fields["trigger"] == "25"
    assert definition(lambda name: fields.get(name, ""))["trigger_share"] == 0.25
    assert "trigger_share" not in definition(lambda name: (fields | {"trigger": ""}).get(name, ""))


async def test_an_interleaving_experiment_shows_whom_people_prefer(monkeypatch: pytest.MonkeyPatch) -> None:
    against = {
        "wins": 65, "losses": 39, "ties": 96, "share": 0.565, "low": 0.51, "high": 0.62, "p": 0.2,
        "one_look_p": 0.014, "verdict": "no difference shown",
    }  # fmt: skip
    preferences = [
        {
            "metric": {"name": name, "event": name},
            "variants": [
                {"variant": "control", "credit": 41.0, "comparison": None},
                {"variant": "new", "credit": 70.0, "comparison": against},
            ],
        }
        for name in ("click", "purchase")
    ]
    stored = experiment(design={"kind": "interleaving"})
    router = Design(stored, metrics=[], preferences=preferences)
    async with browser(monkeypatch, ADMIN, router) as client:
        page = await client.get("/dashboard/experiments/home-model?metric=purchase")

    assert "interleaving: each answer has items of all variants" in page.text
    assert "An event of purchase is credited" in page.text
    assert all(part in page.text for part in (">65<", ">39<", ">96<", "56.5", "no difference shown"))


async def test_a_bandit_shows_its_weights_and_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    mean = {"value": 0.066, "low": 0.06, "high": 0.072}
    nothing = {"value": None, "low": None, "high": None}
    bandit = {
        "next_at": "2026-11-03T00:00:00Z",
        "variants": [
            {"variant": "control", "weight": 0.125, "units": 0, "mean": nothing, "best": 0.03},
            {"variant": "new", "weight": 0.875, "units": 4_321, "mean": mean, "best": 0.97},
        ],
        "periods": [
            {
                "version": 7,
                "began_at": "2026-11-02T00:00:00Z",
                "weights": {"new": 0.625},
                "units": {"new": 77},
            }
        ],
    }
    router = Design(experiment(design={"kind": "bandit"}), bandit=bandit)
    async with browser(monkeypatch, ADMIN, router) as client:
        page = await client.get("/dashboard/experiments/home-model")

    assert "bandit: weights follow the rewards" in page.text
    assert all(part in page.text for part in ("87.5", "4,321", "0.066", "97.0", "62.5", "77 people"))


async def test_a_switchback_shows_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    window = {"number": 490_000, "began_at": "2026-11-02T00:00:00Z", "variant": "new", "people": 1_234}
    router = Design(experiment(design={"kind": "switchback"}), windows=[window])
    async with browser(monkeypatch, ADMIN, router) as client:
        page = await client.get("/dashboard/experiments/home-model")

    assert ">Windows<" in page.text
    assert "The last one is of new" in page.text
    assert "1,234 people" in page.text


async def test_a_shadow_shows_what_nobody_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = {
        "variant": "new", "answers": 4_321, "overlap": 0.625, "filled": 0.98, "distinct_items": 77,
        "milliseconds": 1.23, "milliseconds_95": 4.5, "shown_milliseconds": 0.9, "shown_milliseconds_95": 2.1,
    }  # fmt: skip
    stored = experiment(design={"kind": "shadow"})
    router = Design(stored, units=[], metrics=[], shadows=[shadow])
    async with browser(monkeypatch, ADMIN, router) as client:
        page = await client.get("/dashboard/experiments/home-model")

    assert "shadow: variants answer too, and nobody sees it" in page.text
    assert all(part in page.text for part in ("4,321", "62.5", "98.0", ">77<", "1.2 ms", "4.5 ms"))


async def test_people_whose_answers_differ_have_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    part = results()
    part["units"][1]["units"] = 777
    router = Design(experiment(trigger_share=1.0), triggered=part)
    async with browser(monkeypatch, ADMIN, router) as client:
        page = await client.get("/dashboard/experiments/home-model")

    assert "People whose answers differ" in page.text
    assert ">777<" in page.text
