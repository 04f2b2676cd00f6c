"""Results of experiments with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

Row = Mapping[str, Any]

Verdict = Literal["control", "better", "worse", "no difference shown", "too few units"]


class Interval(NamedTuple):
    """An estimate with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Return whether zero is outside of the interval."""
        return self.low > 0 or self.high < 0


class Scale(NamedTuple):
    """The range in which the intervals of variants are drawn."""

    low: float
    high: float

    @classmethod
    def of(cls, intervals: Iterable[Interval | None]) -> Self:
        """Return the range of intervals, with a tenth of its width on both sides."""
        ends = [end for interval in intervals if interval for end in interval[1:]] or [0.0, 1.0]
        margin = (max(ends) - min(ends)) / 10 or 1.0
        return cls(min(ends) - margin, max(ends) + margin)

    def position(self, value: float) -> float:
        """Return where a value is drawn, from 0 to 100."""
        return (value - self.low) / (self.high - self.low) * 100


class Mean(NamedTuple):
    """The mean of a variant; without an interval where all of its people are alike."""

    value: float
    interval: Interval | None


class VariantRow(NamedTuple):
    """A variant's result on one metric; differences and the chance are to the first variant."""

    name: str
    share: float
    answer: str | None
    units: int
    is_disabled: bool
    mean: Mean | None
    difference: Interval | None
    lift: Interval | None
    chance: float | None
    p: float | None
    verdict: Verdict
    guardrail: str | None


class MetricView(NamedTuple):
    """A metric with the results of all variants. `is_share`: its means are shares, shown in percent.

    `aa_rate` is the share of splits of the control whose halves differ.
    """

    name: str
    explanation: str
    is_share: bool
    rows: list[VariantRow]
    aa_rate: float | None


def metric_view(results: Row, variants: Sequence[Row], name: str) -> MetricView | None:
    """Return the metric of a name, by default the first, from the router's results; None without results."""
    metrics = results.get("metrics") or []
    if not metrics:
        return None
    result = next((each for each in metrics if each["metric"]["name"] == name), metrics[0])
    metric = result["metric"]
    units = {each["variant"]: each for each in results["units"]}
    weight = sum(each["weight"] for each in results["units"])
    answers = {variant["name"]: answer_of(variant) for variant in variants}
    rows = [
        _row(each, units[each["variant"]], weight, answers.get(each["variant"]))
        for each in result["variants"]
    ]
    is_share = metric["measure"] == "conversion" and metric["per"] is None
    return MetricView(
        metric["name"],
        _explanation(metric, result["adjusted_by"]),
        is_share,
        rows,
        result.get("aa_false_positive_rate"),
    )


def preference_of(results: Row, name: str) -> Row | None:
    """Return the preferences by the metric of a name, by default the first; None in another design."""
    preferences: Sequence[Row] = results.get("preferences") or []
    return next(
        (each for each in preferences if each["metric"]["name"] == name), next(iter(preferences), None)
    )


def answer_of(variant: Row) -> str | None:
    """Return what answers a variant's requests, in short; None for the usual answer."""
    parts = [variant["strategy"] or ("its own definition" if variant.get("placement") else "")]
    if variant.get("filter"):
        parts.append(f"filter {variant['filter']['name']}")
    return ", ".join(part for part in parts if part) or None


def _row(result: Row, units: Row, weight: float, answer: str | None) -> VariantRow:
    comparison = result["comparison"] or {}
    return VariantRow(
        name=result["variant"],
        share=units["weight"] / weight,
        answer=answer,
        units=units["units"],
        is_disabled=units["disabled"],
        mean=_mean(result["mean"]),
        difference=interval_of(comparison.get("absolute")),
        lift=interval_of(comparison.get("relative")),
        chance=comparison.get("chance_to_win"),
        p=comparison.get("adjusted_p"),
        verdict=comparison.get("verdict", "control"),
        guardrail=comparison.get("guardrail"),
    )


def _mean(estimate: Row) -> Mean | None:
    value = estimate["value"]
    return None if value is None else Mean(value, interval_of(estimate))


def interval_of(estimate: Row | None) -> Interval | None:
    """Return an estimate with its interval; None where the units show nothing."""
    if estimate is None or None in {estimate["value"], estimate["low"], estimate["high"]}:
        return None
    return Interval(estimate["value"], estimate["low"], estimate["high"])


def _explanation(metric: Row, adjusted_by: float | None) -> str:
    """Return a sentence that says what a metric is."""
    per = metric["per"]
    amounts = {
        "conversion": f"the share of people with a {metric['event']}",
        "events": f"{metric['event']} events per person",
        "value": f"the value of {metric['event']} events per person",
        "orders": f"orders with a {metric['event']} per person",
    }
    text = amounts[metric["measure"]]
    if per is not None:
        text = f"{metric['event']} {metric['measure']} per {per['event']} {per['measure']}"
    if metric["recommended_only"]:
        text += ", of events that name an answer"
    if metric.get("from_days") is not None:
        text += f", later than {metric['from_days']:g} days"
    if metric["window_days"] is not None:
        text += f", within {metric['window_days']:g} days"
    if metric["winsorize"] is not None:
        text += f", cut at the {metric['winsorize'] * 100:g}th percentile"
    if metric["margin"] is not None:
        text += f"; a guardrail with a margin of {metric['margin']:.0%}"
    if adjusted_by is not None:
        text += "; adjusted by the weeks before"
    return f"{text[0].upper()}{text[1:]}."
