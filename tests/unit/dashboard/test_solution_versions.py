"""The metrics of solution versions: over time, and of two runs."""

from __future__ import annotations

from typing import Any

from services.dashboard.domain.solution_versions import (
    compared_metrics,
    metric_names,
    metric_series,
    metric_title,
    solution_versions,
)


def run(finished_at: str | None, **models: dict[str, float] | None) -> dict[str, Any]:
    trained = {recipe: {"version": "arn", "metrics": metrics} for recipe, metrics in models.items()}
    steps = [{"name": "snapshot", "detail": {}}, {"name": "train", "detail": {"models": trained}}]
    return {"status": "completed", "finished_at": finished_at, "steps": steps}


def test_a_metric_of_each_recipe_is_a_series_of_runs_oldest_first() -> None:
    runs = [
        run("1970-01-01T00:00:30Z", similar={"coverage": 0.5}, live={"coverage": 0.3, "precision_at_5": 0.1}),
        {"status": "running", "finished_at": None, "steps": []},
        run("1970-01-01T00:00:20Z", live=None),
        {"status": "failed", "finished_at": "1970-01-01T00:00:15Z", "steps": []},
        run("1970-01-01T00:00:10Z", live={"coverage": 0.2}),
    ]

    assert metric_names(runs) == ["coverage", "precision_at_5"]
    times, series = metric_series(runs, "coverage")
    assert times == [10, 20, 30]
    assert series == [
        {"name": "live", "values": [0.2, None, 0.3]},
        {"name": "similar", "values": [None, None, 0.5]},
    ]


def test_the_metrics_of_two_runs_are_compared_by_recipe() -> None:
    left = run("1970-01-01T00:00:10Z", live={"coverage": 0.2}, old={"coverage": 0.0})
    right = run("1970-01-01T00:00:20Z", live={"coverage": 0.3, "precision_at_5": 0.1}, old={"coverage": 1.0})

    rows = [(row.recipe, row.metric, row.growth) for row in compared_metrics(left, right)]

    assert [(recipe, metric) for recipe, metric, _ in rows] == [
        ("live", "coverage"),
        ("live", "precision_at_5"),
        ("old", "coverage"),
    ]
    assert [growth and round(growth, 6) for _, _, growth in rows] == [0.5, None, None]
    assert compared_metrics(None, None) == []


def test_the_solution_versions_among_jobs_have_the_name_of_their_solution() -> None:
    job = {"status": "ACTIVE", "created_at": "1970-01-01T00:00:10Z", "failure_reason": None}
    version = "arn:aws:personalize:eu-west-1:000000000000:solution/live/1a2b"
    jobs = [
        {**job, "type": "solution-version", "arn": version, "details": {"metrics": {"coverage": 0.2}}},
        {**job, "type": "dataset-import-job", "arn": "arn:x", "details": {}},
    ]

    (row,) = solution_versions(jobs)

    assert (row.solution, row.metrics) == ("live", {"coverage": 0.2})


def test_metrics_have_short_titles() -> None:
    titles = [metric_title(name) for name in ("mean_reciprocal_rank_at_25", "coverage", "hit_ratio_at_5")]

    assert titles == ["MRR@25", "coverage", "hit ratio@5"]
