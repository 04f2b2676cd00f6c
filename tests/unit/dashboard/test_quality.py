"""The page of quality: series of coverage and of generations, and what it says with and without figures."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.dashboard.domain.quality import (
    LIST_FIGURES,
    coverage_lines,
    generation_lines,
    newest_coverage,
    served_since,
)
from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import browser
from tests.unit.dashboard.test_pages import ANN

CHANGED = next(figure for figure in LIST_FIGURES if figure.name == "changed_share")


def count(day: str, kind: str, share: float | None) -> dict[str, Any]:
    return {
        "day": day,
        "kind": kind,
        "known": 10,
        "listed": 8,
        "share": share,
        "measured_at": f"{day}T01:00:00Z",
    }


def lists(generation: int, recipe: str, changed: float | None, *, active: bool = False) -> dict[str, Any]:
    figures = dict.fromkeys((figure.name for figure in LIST_FIGURES), 0.25) | {"changed_share": changed}
    counts = dict.fromkeys(("lists", "empty", "listed_items", "catalogue_items", "compared"), 3)
    began = f"1970-01-01T00:00:{generation:02}Z"
    named = {"generation": generation, "recipe": recipe, "active": active, "run_started_at": began}
    return {**named, **figures, **counts, "previous": None, "measured_at": began}


COVERAGE = [
    count("1970-01-01", "items", 1.0),
    count("1970-01-01", "users", 0.95),
    count("1970-01-02", "users", 0.8),
]
GENERATIONS = [
    lists(9, "similar-items", 0.5, active=True),
    lists(9, "user-personalization", 0.25, active=True),
    lists(4, "similar-items", None),
    lists(4, "popularity", None),
]


def test_coverage_is_a_series_of_days_for_users_and_items() -> None:
    assert coverage_lines(COVERAGE) == (
        [0, 86_400],
        [{"name": "users", "values": [0.95, 0.8]}, {"name": "items", "values": [1.0, None]}],
    )
    assert {kind: row["share"] for kind, row in newest_coverage(COVERAGE).items()} == {
        "items": 1.0,
        "users": 0.8,
    }


def test_a_figure_is_a_series_of_generations_by_recipe_oldest_first() -> None:
    assert generation_lines(GENERATIONS, CHANGED) == (
        [4, 9],
        [
            {"name": "similar-items", "values": [None, 0.5]},
            {"name": "user-personalization", "values": [None, 0.25]},
        ],
    )
    assert generation_lines([], CHANGED) == ([], [])


def test_served_lists_are_as_old_as_the_oldest_run() -> None:
    rows = [lists(9, "popularity", None, active=True), lists(7, "x", None, active=True), lists(4, "y", None)]

    assert served_since(rows) == "1970-01-01T00:00:07Z"
    assert served_since([]) is None


async def page(patch: pytest.MonkeyPatch, person: Person, report: dict[str, Any]) -> str:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/quality":
            return httpx.Response(200, json=report)
        return httpx.Response(503, json={"error": "Unavailable", "detail": "not now"})

    async with browser(patch, person, answer) as client:
        shown = await client.get("/dashboard/quality")
        assert shown.status_code == 200
        return shown.text


async def test_the_page_warns_of_low_coverage_and_shows_each_generation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    html = await page(monkeypatch, ANN, {"coverage": COVERAGE, "generations": GENERATIONS})

    assert html.count("stat warning") == 1  # users: 80 %
    assert "80.0 %" in html
    assert html.count('data-chart="') == 1 + len(LIST_FIGURES)
    assert html.count("/training/generations/9") == 2
    assert "not now" in html  # the trainer and analytics do not answer


async def test_the_page_says_what_to_do_before_the_first_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    html = await page(monkeypatch, ANN, {"coverage": [], "generations": []})

    assert "No lists were measured yet." in html
    assert "data-chart" not in html
