"""Experiments: forms, intervals, verdicts, and what the pages show."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from services.dashboard.domain.experiments import (
    Interval,
    Scale,
    definition,
    event_types,
    form_of,
    newcombe,
    results,
    wilson,
)
from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import CSRF, browser

ADMIN = Person("ann", "shop", "admin")
VIEWER = Person("bob", "shop", "viewer")
FORM = {
    "name": "home-model", "surface": "recommendations", "traffic": "12,5",
    "name-0": "control", "weight-0": "", "strategy-0": "",
    "name-1": "new", "weight-1": "3", "strategy-1": "for-you",
}  # fmt: skip
VARIANTS: list[dict[str, Any]] = [
    {"name": "control", "weight": "1", "strategy": None},
    {"name": "new", "weight": "3", "strategy": "for-you"},
]
DEFINITION: dict[str, Any] = {
    "name": "home-model",
    "surface": "recommendations",
    "traffic": 0.125,
    "variants": VARIANTS,
}


def variant(name: str, exposed: int, purchasers: int, **outcomes: Any) -> dict[str, Any]:
    purchases = {"events": purchasers, "units": purchasers, "value": purchasers * 10.0}
    return {
        "name": name,
        "weight": 1.0,
        "strategy": None,
        "exposed": exposed,
        "events": {"purchase": purchases, **outcomes} if purchasers else outcomes,
    }


def experiment(**members: Any) -> dict[str, Any]:
    body = {
        "name": "home-model", "version": 2, "surface": "recommendations", "traffic": 0.125, "salt": "s",
        "status": "running", "created_at": "2026-11-01T00:00:00Z", "started_at": "2026-11-02T00:00:00Z",
        "stopped_at": None, "sample_ratio_p": None, "mixed_units": 0, "crossed_users": 0,
        "variants": [variant("control", 10_000, 421), variant("new", 10_000, 468)],
    }  # fmt: skip
    return body | members


def test_a_form_becomes_a_definition_and_a_definition_a_form() -> None:
    assert definition(lambda name: FORM.get(name, "")) == DEFINITION
    variants = [{**each, "weight": float(each["weight"])} for each in VARIANTS]
    again = form_of(DEFINITION | {"variants": variants})
    assert definition(lambda name: again.get(name, "")) == DEFINITION
    assert definition(lambda name: {"traffic": "all"}.get(name, ""))["traffic"] == "all"


def test_the_interval_of_a_difference_is_that_of_newcombe() -> None:
    """R. Newcombe, Statistics in Medicine 17 (1998), table II, example (a), method 10."""
    treatment, control = wilson(56, 70), wilson(48, 80)
    assert treatment is not None
    assert control is not None

    difference = newcombe(treatment, control)

    assert difference == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference.excludes_zero
    assert wilson(0, 0) is None


@pytest.mark.parametrize(
    ("control", "treatment", "verdict"),
    [
        ((10_000, 421), (10_000, 468), "no difference shown"),
        ((100_000, 4210), (100_000, 4680), "better"),
        ((100_000, 4680), (100_000, 4210), "worse"),
        ((10, 1), (10, 9), "too few units"),
        ((0, 0), (1_000, 10), "too few units"),
    ],
)
def test_a_variant_is_judged_by_the_interval_of_its_difference(
    control: tuple[int, int], treatment: tuple[int, int], verdict: str
) -> None:
    first, second = results([variant("control", *control), variant("new", *treatment)], "purchase")

    assert (first.verdict, first.difference) == ("control", None)
    assert second.verdict == verdict
    assert second.share == 0.5


def test_intervals_are_drawn_on_a_common_scale() -> None:
    scale = Scale.of([Interval(0.2, 0.1, 0.3), None, Interval(0.5, 0.4, 0.6)])

    assert [round(scale.position(value)) for value in (0.1, 0.35, 0.6)] == [8, 50, 92]
    assert Scale.of([]).position(0.5) == pytest.approx(50)


def test_results_are_of_one_type_of_events() -> None:
    views = {"view": {"events": 90, "units": 40, "value": None}}
    variants = [variant("control", 100, 4, **views), variant("new", 100, 0)]

    assert event_types(variants) == ["purchase", "view"]
    control, new = results(variants, "view")
    assert (control.units, control.events, control.value_per_unit) == (40, 90, None)
    assert (new.units, new.rate and new.rate.value) == (0, 0.0)
    assert results(variants, "purchase")[0].value_per_unit == 0.4


class Router:
    """The router with an experiment, which answers changes with `answer`."""

    def __init__(self, body: dict[str, Any], answer: httpx.Response | None = None) -> None:
        self.body, self.answer = body, answer
        self.calls: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.port != 8006:
            return httpx.Response(200, json={"generations": [{"recipes": [{"recipe": "for-you"}]}]})
        if request.method == "GET":
            is_list = request.url.path == "/v1/experiments"
            return httpx.Response(200, json=[self.body] if is_list else self.body)
        body = orjson.loads(request.content) if request.content else None
        self.calls.append((request.method, request.url.path, body))
        return self.answer or httpx.Response(201, json=self.body)


async def test_an_experiment_is_defined_started_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router(experiment())
    async with browser(monkeypatch, ADMIN, router) as client:
        answers = [
            await client.post("/dashboard/experiments", data=FORM | {"csrf": CSRF}),
            await client.post("/dashboard/experiments/home-model/start", data={"csrf": CSRF}),
            await client.post("/dashboard/experiments/home-model/stop", data={"csrf": CSRF}),
            await client.post("/dashboard/experiments/home-model/delete", data={"csrf": CSRF}),
        ]

    assert [answer.headers["location"] for answer in answers] == [
        *["/dashboard/experiments/home-model"] * 3,
        "/dashboard/experiments",
    ]
    path = "/v1/experiments/home-model"
    assert router.calls == [
        ("POST", "/v1/experiments", DEFINITION),
        ("POST", f"{path}/start", None),
        ("POST", f"{path}/stop", None),
        ("DELETE", path, None),
    ]


async def test_a_refused_form_keeps_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = httpx.Response(400, json={"error": "InvalidRequest", "detail": "body.traffic: too much"})
    async with browser(monkeypatch, ADMIN, Router(experiment(), refusal)) as client:
        page = await client.post("/dashboard/experiments", data=FORM | {"csrf": CSRF, "traffic": "300"})

    assert page.status_code == 400
    assert "body.traffic: too much" in page.text
    assert 'name="traffic" inputmode="decimal" value="300"' in page.text
    assert 'value="for-you"' in page.text


async def test_results_are_shown_with_what_makes_them_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router(experiment(sample_ratio_p=0.0001, mixed_units=3))
    async with browser(monkeypatch, VIEWER, router) as client:
        page = await client.get("/dashboard/experiments/home-model", params={"event": "purchase"})

    assert page.status_code == 200
    assert "no result is valid" in page.text
    assert "3 units were shown several variants" in page.text
    assert "+0.47" in page.text
    assert "no difference shown" in page.text
    assert "/start" not in page.text


async def test_pages_without_the_router_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ADMIN) as client:
        pages = [
            await client.get("/dashboard/experiments"),
            await client.get("/dashboard/experiments/home-model"),
            await client.post("/dashboard/experiments", data=FORM | {"csrf": CSRF}),
        ]

    assert [page.status_code for page in pages] == [200, 200, 503]
    assert all("router does not answer" in page.text for page in pages)
