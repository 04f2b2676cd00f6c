"""The page of quality: coverage by day, figures of generations, and how old what is served is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from services.dashboard.domain.formats import instant

Row = Mapping[str, Any]
Lines = tuple[list[int], list[dict[str, Any]]]

LOW_COVERAGE: Final = 0.9
"""Coverage below which the page warns, as the alert EndcapCoverageLow does."""


class ListFigure(NamedTuple):
    """A figure of a generation's lists; `unit` is `%` for a share."""

    name: str
    title: str
    unit: Literal["", "%"]


LIST_FIGURES: Final = (
    ListFigure("changed_share", "Lists that changed", "%"),
    ListFigure("rank_overlap", "Rank overlap with the lists before", ""),
    ListFigure("catalogue_share", "Items on sale that are listed", "%"),
    ListFigure("gini", "Concentration on few items (Gini)", ""),
    ListFigure("popularity_lift", "Popularity lift", "%"),
)


def coverage_lines(rows: Iterable[Row]) -> Lines:
    """Return the days in seconds since 1970, and the share of users and of items with a list."""
    shares = {(row["day"], row["kind"]): row["share"] for row in rows}
    days = sorted({day for day, _ in shares})
    series = [
        {"name": kind, "values": [shares.get((day, kind)) for day in days]} for kind in ("users", "items")
    ]
    return [_seconds(day) for day in days], series


def newest_coverage(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the newest count by kind; rows are ordered by day."""
    return {row["kind"]: row for row in rows}


def generation_lines(rows: Sequence[Row], figure: ListFigure) -> Lines:
    """Return when runs began, in seconds since 1970, and a figure by recipe, oldest first.

    Recipes for which no generation has the figure are left out.
    """
    values = {(row["generation"], row["recipe"]): row[figure.name] for row in rows}
    began = {row["generation"]: row["run_started_at"] for row in rows}
    generations = sorted(began)
    series = [
        {"name": recipe, "values": [values.get((generation, recipe)) for generation in generations]}
        for recipe in sorted({recipe for _, recipe in values})
    ]
    shown = [each for each in series if any(value is not None for value in each["values"])]
    return [_seconds(began[generation]) for generation in generations], shown


def served_since(rows: Iterable[Row]) -> str | None:
    """Return when the oldest run began whose lists are served; None without served lists."""
    return min((row["run_started_at"] for row in rows if row["active"]), default=None)


def _seconds(time: str) -> int:
    at = instant(time)
    assert isinstance(at, datetime)
    return int(at.timestamp())
