"""Experiments: forms, intervals, verdicts, and what the pages show."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from services.dashboard.domain.experiment_days import course, group_sizes
from services.dashboard.domain.experiment_forms import definition, form_of
from services.dashboard.domain.experiments import Interval, Mean, Scale, metric_view
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


CHANGE: dict[str, Any] = {
    "version": 2, "revision": 3, "change": "pause", "actor": "monitor", "at": "2026-11-03T00:00:00Z",
    "details": {"reason": "guardrail harmed: b"},
}  # fmt: skip


def experiment(**members: Any) -> dict[str, Any]:
    body = {
        "name": "home-model", "version": 2, "phase": 1, "surface": "recommendations", "traffic": 0.125,
        "salt": "s", "layer": None, "unit": "user_else_session", "metrics": None, "forced": {},
        "disabled": [], "decision": None, "revision": 1, "status": "running",
        "created_at": "2026-11-01T00:00:00Z",
        "started_at": "2026-11-02T00:00:00Z", "stopped_at": None,
        "variants": [{**each, "weight": float(each["weight"])} for each in VARIANTS],
    }  # fmt: skip
    return body | members


def estimate(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def results(**health: Any) -> dict[str, Any]:
    metric = {
        "name": "bought", "event": "purchase", "measure": "conversion", "per": None,
        "recommended_only": False, "window_days": None, "winsorize": None, "margin": 0.1,
        "higher_is_better": True,
    }  # fmt: skip
    comparison = {
        "absolute": estimate(0.0047, 0.0031), "relative": estimate(0.1116, 0.08), "p": 4e-5,
        "adjusted_p": 4e-5, "chance_to_win": 0.937, "verdict": "better", "guardrail": "safe",
    }  # fmt: skip
    variants = [
        {"variant": "control", "mean": estimate(0.0421, 0.001), "comparison": None},
        {"variant": "new", "mean": estimate(0.0468, 0.001), "comparison": comparison},
    ]
    clicks = [
        {"variant": "control", "mean": {"value": 0.0, "low": None, "high": None}, "comparison": None},
        {"variant": "new", "mean": {"value": 0.0, "low": None, "high": None}, "comparison": None},
    ]
    return {
        "units": [
            {"variant": name, "weight": weight, "units": 10_000, "disabled": False}
            for name, weight in (("control", 1.0), ("new", 3.0))
        ],
        "counted_until": None,
        "health": {
            "is_valid": True, "problems": [], "sample_ratio_p": 0.4, "crossed_units": 0, "merged_units": 0,
            "bots": 0,
        } | health,
        "planning": {"relative_effect": 0.1, "required_units": 60_000, "units": 20_000, "days_left": 13.2},
        "metrics": [
            {"metric": metric, "adjusted_by": None, "variants": variants},
            {"metric": metric | {"name": "clicks", "event": "click"}, "adjusted_by": 0.7, "variants": clicks},
        ],
    }  # fmt: skip


def test_a_form_becomes_a_definition_and_a_definition_a_form() -> None:
    assert definition(lambda name: FORM.get(name, "")) == DEFINITION
    variants = [{**each, "weight": float(each["weight"])} for each in VARIANTS]
    again = form_of(DEFINITION | {"variants": variants})
    assert definition(lambda name: again.get(name, "")) == DEFINITION
    assert definition(lambda name: {"traffic": "all"}.get(name, ""))["traffic"] == "all"


def test_a_form_passes_on_what_it_does_not_show() -> None:
    stored = experiment(
        layer={"name": "home", "start": 0.0, "end": 0.5},
        variants=[
            {"name": "control", "weight": 1.0, "strategy": None},
            {"name": "new", "weight": 3.0, "strategy": None, "filter": {"name": "in-stock"}},
        ],
    )
    fields = form_of(stored)
    defined = definition(lambda name: fields.get(name, ""))

    assert defined["layer"] == stored["layer"]
    assert defined["unit"] == "user_else_session"
    assert defined["variants"][1]["filter"] == {"name": "in-stock"}
    assert "metrics" not in defined
    for text in ("[1]", "{", '{"variants": {"new": 3}}', '{"variants": 3}'):
        fields["kept"] = text
        assert "layer" not in definition(lambda name: fields.get(name, ""))


def test_a_metric_is_shown_for_each_variant() -> None:
    bought = metric_view(results(), VARIANTS, "")
    clicks = metric_view(results(), VARIANTS, "clicks")
    assert bought is not None
    assert clicks is not None

    control, new = bought.rows
    assert (bought.name, bought.is_share) == ("bought", True)
    assert bought.explanation == ("The share of people with a purchase; a guardrail with a margin of 10%.")
    assert (control.verdict, control.difference, control.answer) == ("control", None, None)
    assert (new.verdict, new.guardrail, new.share, new.answer) == ("better", "safe", 0.75, "for-you")
    assert new.difference is not None
    assert new.difference.excludes_zero
    assert clicks.rows[1].mean == Mean(0.0, None)
    assert "adjusted by the weeks before" in clicks.explanation
    assert metric_view({}, VARIANTS, "") is None


def test_intervals_are_drawn_on_a_common_scale() -> None:
    scale = Scale.of([Interval(0.2, 0.1, 0.3), None, Interval(0.5, 0.4, 0.6)])

    assert [round(scale.position(value)) for value in (0.1, 0.35, 0.6)] == [8, 50, 92]
    assert Scale.of([]).position(0.5) == pytest.approx(50)


class Router:
    """The router with an experiment, which answers changes with `answer`."""

    def __init__(self, body: dict[str, Any], answer: httpx.Response | None = None, **health: Any) -> None:
        self.body, self.answer, self.health = body, answer, health
        self.calls: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.port != 8006:
            return httpx.Response(200, json={"generations": [{"recipes": [{"recipe": "for-you"}]}]})
        if request.method == "GET":
            if request.url.path.endswith("/results"):
                return httpx.Response(200, json=results(**self.health))
            if request.url.path.endswith("/changes"):
                return httpx.Response(200, json=[CHANGE])
            is_list = request.url.path == "/v1/experiments"
            return httpx.Response(200, json=[self.body] if is_list else self.body)
        body = orjson.loads(request.content) if request.content else None
        self.calls.append((request.method, request.url.path, body))
        return self.answer or httpx.Response(201, json=self.body)


async def test_an_experiment_is_defined_started_paused_and_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router(experiment())
    async with browser(monkeypatch, ADMIN, router) as client:
        answers = [
            await client.post("/dashboard/experiments", data=FORM | {"csrf": CSRF}),
            await client.post("/dashboard/experiments/home-model/start", data={"csrf": CSRF}),
            await client.post("/dashboard/experiments/home-model/pause", data={"csrf": CSRF}),
            await client.post("/dashboard/experiments/home-model/variants/new/disable", data={"csrf": CSRF}),
            await client.post(
                "/dashboard/experiments/home-model/decide",
                data={"csrf": CSRF, "variant": "new", "reason": "It sold more."},
            ),
            await client.post("/dashboard/experiments/home-model/delete", data={"csrf": CSRF}),
        ]

    assert [answer.headers["location"] for answer in answers] == [
        *["/dashboard/experiments/home-model"] * 5,
        "/dashboard/experiments",
    ]
    path = "/v1/experiments/home-model"
    assert router.calls == [
        ("POST", "/v1/experiments", DEFINITION),
        ("POST", f"{path}/start", None),
        ("POST", f"{path}/pause", None),
        ("POST", f"{path}/variants/new/disable", None),
        ("POST", f"{path}/decide", {"variant": "new", "reason": "It sold more."}),
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
    router = Router(experiment(), problems=["No result is valid."], crossed_units=3)
    async with browser(monkeypatch, VIEWER, router) as client:
        page = await client.get("/dashboard/experiments/home-model", params={"metric": "bought"})
        other = await client.get("/dashboard/experiments/home-model", params={"metric": "clicks"})

    assert page.status_code == other.status_code == 200
    assert "No result is valid." in page.text
    assert "3 people met several variants" in page.text
    assert "+0.47" in page.text
    assert "+11.2 %" in page.text
    assert "guardrail safe" in page.text
    assert "about 14 more days" in page.text
    assert "guardrail harmed: b" in page.text
    assert "/start" not in page.text
    assert "/decide" not in page.text


@pytest.mark.parametrize("status", ["draft", "running", "paused", "stopped", "decided", "archived"])
async def test_each_state_has_its_changes(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    decision = {"variant": "new", "reason": "It sold more.", "decided_by": "k1", "decided_at": CHANGE["at"]}
    body = experiment(status=status, decision=decision if status == "decided" else None)
    async with browser(monkeypatch, ADMIN, Router(body)) as client:
        page = await client.get("/dashboard/experiments/home-model")

    shown = {
        change for change in ("start", "pause", "stop", "decide", "archive") if f'/{change}"' in page.text
    }
    assert (
        shown
        == {
            "draft": {"start", "stop"},
            "running": {"pause", "stop", "decide"},
            "paused": {"start", "stop", "decide"},
            "stopped": {"decide", "archive"},
            "decided": {"archive"},
            "archived": set(),
        }[status]
    )
    assert ("It sold more." in page.text) == (status == "decided")


async def test_pages_without_the_router_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ADMIN) as client:
        pages = [
            await client.get("/dashboard/experiments"),
            await client.get("/dashboard/experiments/home-model"),
            await client.post("/dashboard/experiments", data=FORM | {"csrf": CSRF}),
        ]

    assert [page.status_code for page in pages] == [200, 200, 503]
    assert all("router does not answer" in page.text for page in pages)


def test_the_course_and_the_sizes_are_shown_newest_day_first() -> None:
    def day(date: str, lift: float) -> dict[str, Any]:
        variants = [
            {"variant": "control", "units": 10, "mean": 0.1, "relative": None},
            {"variant": "new", "units": 12, "mean": 0.2, "relative": estimate(lift, 0.1)},
        ]
        return {"day": date, "counted_at": f"{date}T23:59:00Z", "variants": variants}

    series = {"days": [day("2026-11-20", 0.5), day("2026-11-21", 0.4)]}
    groups = [
        {"kind": "day", "value": "2026-11-20", "units": {"new": 3}, "p": None, "sequential_p": 0.2},
        {"kind": "day", "value": "2026-11-21", "units": {"control": 60, "new": 58}, "p": 0.85},
    ]
    rows = course(series)

    assert [(row.day, row.variant, row.units) for row in rows] == [
        ("2026-11-21", "new", 12),
        ("2026-11-20", "new", 12),
    ]
    assert rows[0].lift is not None
    assert rows[0].lift.value == 0.4
    assert group_sizes({"groups": groups}, "day", ["control", "new"]) == [
        ("2026-11-21", [60, 58], 0.85),
        ("2026-11-20", [0, 3], None),
    ]
    assert course({}) == group_sizes({}, "day", []) == []
