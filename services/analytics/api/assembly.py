"""Make the bodies of answers from figures and measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.analytics.api.bodies import (
    Activity,
    ActivityAt,
    Coverage,
    Figures,
    FiguresAt,
    Group,
    Rate,
)
from services.analytics.domain.figures import wilson
from services.analytics.domain.reports import Totals, by_group, summed

_NOTHING = Decimal(0)


def rate(successes: Decimal | int, observations: Decimal | int) -> Rate:
    """Return a proportion with its interval."""
    return Rate.model_validate(wilson(int(successes), int(observations))._asdict())


def figures(totals: Totals) -> dict[str, Any]:
    """Return the members of `Figures`."""
    whole = {
        name: float(value) if name in {"units", "revenue"} else int(value) for name, value in totals.items()
    }
    return {
        **whole,
        "click_through": rate(totals["clicks"], totals["impressions"]),
        "answer_click_through": rate(totals["clicked_answers"], totals["answers"]),
        "conversion": rate(totals["conversions"], totals["clicks"]),
        "fallback_share": rate(totals["fallback_answers"], totals["answers"]),
    }


def groups(rows: Iterable[dict[str, Any]]) -> list[Group]:
    """Return the groups of rows, each with its points."""
    names = ("surface", "placement", "strategy", "experiment", "experiment_version", "variant")
    return [
        Group(
            **dict(zip(names, key, strict=True)),
            total=Figures(**figures(summed(members))),
            points=[FiguresAt(at=row["begins_at"], **figures(summed([row]))) for row in members],
        )
        for key, members in by_group(rows).items()
    ]


def activity(measures: Mapping[str, Decimal], totals: Totals) -> dict[str, Any]:
    """Return the members of `Activity`."""
    revenue = measures.get("revenue", _NOTHING)
    return {
        "events": int(sum(value for name, value in measures.items() if name.startswith("events:"))),
        "orders": int(measures.get("orders", _NOTHING)),
        "purchases": int(measures.get("purchases", _NOTHING)),
        "units": float(measures.get("units", _NOTHING)),
        "revenue": float(revenue),
        **{name: int(totals[name]) for name in _COUNTED},
        "attributed_purchases": int(totals["purchases"]),
        "attributed_units": float(totals["units"]),
        "attributed_revenue": float(totals["revenue"]),
        "attributed_share": float(totals["revenue"] / revenue) if revenue else None,
        "click_through": rate(totals["clicks"], totals["impressions"]),
        "conversion": rate(totals["conversions"], totals["clicks"]),
        "fallback_share": rate(totals["fallback_answers"], totals["answers"]),
    }


_COUNTED = ("answers", "fallback_answers", "impressions", "clicks", "conversions")


def activities(
    times: Sequence[datetime],
    measures: Mapping[datetime, Mapping[str, Decimal]],
    rows: Iterable[Mapping[str, Any]],
) -> list[ActivityAt]:
    """Return the activity of every interval; zeros where nothing happened."""
    by_time: dict[datetime, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_time.setdefault(row["begins_at"], []).append(row)
    return [ActivityAt(at=at, **activity(measures.get(at, {}), summed(by_time.get(at, ())))) for at in times]


def total_activity(
    measures: Mapping[datetime, Mapping[str, Decimal]], rows: Iterable[Mapping[str, Any]]
) -> tuple[Activity, dict[str, Decimal]]:
    """Return the activity of all intervals, and the sums of their measures."""
    sums: dict[str, Decimal] = {}
    for of_time in measures.values():
        for name, value in of_time.items():
            sums[name] = sums.get(name, _NOTHING) + value
    return Activity(**activity(sums, summed(rows))), sums


def coverage(days: Mapping[datetime, Mapping[str, Decimal]], items: int | None) -> list[Coverage]:
    """Return the coverage of the days that have visitors or answers."""
    return [
        Coverage(
            day=day,
            visitors=int(measures.get("visitors", _NOTHING)),
            answered_visitors=int(measures.get("answered_visitors", _NOTHING)),
            visitors_share=rate(measures.get("answered_visitors", 0), measures.get("visitors", 0)),
            answered_items=int(measures.get("answered_items", _NOTHING)),
            items=items,
            items_share=min(1.0, float(measures.get("answered_items", _NOTHING)) / items) if items else None,
        )
        for day, measures in sorted(days.items())
        if "visitors" in measures or "answered_items" in measures
    ]
