"""Runs and generations side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class ComparedRecipe(NamedTuple):
    """The lists of a recipe in two generations; None where a generation has none."""

    recipe: str
    left: Row | None
    right: Row | None

    @property
    def growth(self) -> float | None:
        """Return by which share the number of lists grew from the left to the right; None without both."""
        if self.left is None or self.right is None or not self.left["rows"]:
            return None
        return float((self.right["rows"] - self.left["rows"]) / self.left["rows"])


def serving(generations: Iterable[Row]) -> dict[str, int]:
    """Return which generation each recipe is served from, beside its overlay."""
    return {
        recipe["recipe"]: generation["generation"]
        for generation in generations
        if generation.get("base") is None
        for recipe in generation["recipes"]
        if recipe["active"]
    }


def compared(left: Iterable[Row], right: Iterable[Row]) -> list[ComparedRecipe]:
    """Return the recipes of two generations, by name."""
    of_left = {row["recipe"]: row for row in left}
    of_right = {row["recipe"]: row for row in right}
    return [
        ComparedRecipe(name, of_left.get(name), of_right.get(name)) for name in sorted({*of_left, *of_right})
    ]


def durations(runs: Sequence[Row]) -> tuple[list[int], list[dict[str, Any]]]:
    """Return the ends of completed runs in seconds since 1970, and the seconds of each step, oldest first."""
    completed = _completed(runs)
    names = list(dict.fromkeys(step["name"] for run in completed for step in run["steps"]))
    series = [
        {"name": name, "values": [_seconds(run, name) for run in completed]}
        for name in names
        if any(_seconds(run, name) for run in completed)
    ]
    return _ends(completed), series


def _completed(runs: Sequence[Row]) -> list[Row]:
    """Return the completed runs, oldest first."""
    return [run for run in reversed(runs) if run["status"] == "completed" and run["finished_at"]]


def _ends(runs: Iterable[Row]) -> list[int]:
    return [int(datetime.fromisoformat(run["finished_at"]).timestamp()) for run in runs]


def _seconds(run: Row, step: str) -> float | None:
    return next((entry["seconds"] for entry in run["steps"] if entry["name"] == step), None)
