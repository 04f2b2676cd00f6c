"""Solution versions with their offline metrics: of runs over time, of two runs, and of the engine's jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

Row = Mapping[str, Any]

PREFERRED: Final = "normalized_discounted_cumulative_gain_at_10"
"""The metric of the chart, where the versions have it."""

_SHORT: Final = {
    "normalized_discounted_cumulative_gain": "NDCG",
    "mean_reciprocal_rank": "MRR",
    "precision": "precision",
}


class ComparedMetric(NamedTuple):
    """A metric of a recipe's model in two runs; None where a run has none."""

    recipe: str
    metric: str
    left: float | None
    right: float | None

    @property
    def growth(self) -> float | None:
        """Return by which share the metric grew from the left to the right; None without both."""
        return None if not self.left or self.right is None else (self.right - self.left) / self.left


class SolutionVersion(NamedTuple):
    """A solution version of the engine, with the metrics of its model."""

    solution: str
    arn: str
    status: str
    created_at: str
    metrics: Mapping[str, float]
    problem: str | None


def metric_title(name: str) -> str:
    """Return the short name of a metric, such as `NDCG@10`."""
    base, at, rank = name.rpartition("_at_")
    return f"{_SHORT.get(base, base.replace('_', ' '))}@{rank}" if at else name.replace("_", " ")


def metrics_of(run: Row | None) -> dict[str, Mapping[str, float]]:
    """Return the metrics of the models that a run trained, by recipe."""
    steps = run["steps"] if run else []
    models: Row = next((step["detail"].get("models", {}) for step in steps if step["name"] == "train"), {})
    return {recipe: model.get("metrics") or {} for recipe, model in models.items()}


def metric_names(runs: Iterable[Row]) -> list[str]:
    """Return the metrics that any model of the runs has."""
    return sorted({name for run in runs for metrics in metrics_of(run).values() for name in metrics})


def metric_series(runs: Sequence[Row], metric: str) -> tuple[list[int], list[dict[str, Any]]]:
    """Return when runs ended, in seconds since 1970, and a metric of each recipe's model, oldest first."""
    trained = [
        (datetime.fromisoformat(run["finished_at"]), metrics)
        for run in reversed(runs)
        if run["finished_at"] and (metrics := metrics_of(run))
    ]
    recipes = list(dict.fromkeys(recipe for _, metrics in trained for recipe in metrics))
    series = [
        {"name": recipe, "values": [metrics.get(recipe, {}).get(metric) for _, metrics in trained]}
        for recipe in recipes
    ]
    return [int(at.timestamp()) for at, _ in trained], series


def compared_metrics(left: Row | None, right: Row | None) -> list[ComparedMetric]:
    """Return the metrics of two runs, by recipe and metric."""
    of_left, of_right = metrics_of(left), metrics_of(right)
    return [
        ComparedMetric(
            recipe, metric, of_left.get(recipe, {}).get(metric), of_right.get(recipe, {}).get(metric)
        )
        for recipe in sorted({*of_left, *of_right})
        for metric in sorted({*of_left.get(recipe, {}), *of_right.get(recipe, {})})
    ]


def solution_versions(jobs: Iterable[Row]) -> list[SolutionVersion]:
    """Return the solution versions among the engine's jobs, in their order."""
    return [
        SolutionVersion(
            solution=job["arn"].rpartition(":solution/")[2].partition("/")[0],
            arn=job["arn"],
            status=job["status"],
            created_at=job["created_at"],
            metrics=job["details"].get("metrics") or {},
            problem=job["failure_reason"],
        )
        for job in jobs
        if job["type"] == "solution-version"
    ]
