"""Definitions of experiments from forms, and their results with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Self

import orjson

Row = Mapping[str, Any]

VARIANTS: Final = 4
"""Variants of a form; the API takes up to twenty. Arbitrary."""
SURFACES: Final = ("recommendations", "similar-items", "item-affinity", "holdout")
KEPT: Final = ("layer", "unit", "metrics", "design", "trigger_share")
"""Members of a definition that the form does not show, and passes on."""
DESIGNS: Final = {
    "split": "each visitor gets one variant",
    "interleaving": "each answer has items of all variants",
    "bandit": "weights follow the rewards",
    "switchback": "everybody gets the variant of the hour",
    "shadow": "variants answer too, and nobody sees it",
}
"""The designs that a form offers, and what they do; their other members have defaults."""
KEPT_OF_VARIANTS: Final = ("placement", "filter")

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


def definition(field: Callable[[str], str]) -> dict[str, Any]:
    """Return the definition in a form, for the router to check, without variants that have no name."""
    kept = _kept(field("kept"))
    variants = []
    for number in range(VARIANTS):
        name, weight, strategy = (field(f"{part}-{number}") for part in ("name", "weight", "strategy"))
        if name:
            variant = {"name": name, "weight": weight or "1", "strategy": strategy or None}
            variants.append(variant | kept["variants"].get(name, {}))
    kept["design"] = _design(kept.get("design"), field("design"))
    return {
        **{name: kept[name] for name in KEPT if kept.get(name) is not None},
        "name": field("name"),
        "surface": field("surface"),
        "traffic": _share(field("traffic") or "100"),
        "variants": variants,
    }


def _design(kept: Any, kind: str) -> dict[str, Any] | None:
    """Return the design of a form: the kept one with its members unless another kind is chosen."""
    if isinstance(kept, dict) and kept.get("kind") == kind:
        return kept
    return {"kind": kind} if kind not in {"", "split"} else None


def _kept(text: str) -> dict[str, Any]:
    """Return the members that a form passes on; none of a text that no form has written."""
    try:
        kept = orjson.loads(text or "{}")
    except ValueError:
        kept = {}
    members = kept if isinstance(kept, dict) else {}
    variants = members.get("variants")
    known = variants.items() if isinstance(variants, dict) else ()
    return members | {"variants": {name: each for name, each in known if isinstance(each, dict)}}


def _share(percent: str) -> float | str:
    """Return the share of a percentage, or the text that is none, which the router refuses."""
    try:
        return round(float(percent.replace(",", ".")) / 100, 9)
    except ValueError:
        return percent


def form_of(experiment: Row | None) -> dict[str, str]:
    """Return the fields of the form for a new version of an experiment, or for a new experiment."""
    if experiment is None:
        return {
            "name": "",
            "surface": SURFACES[0],
            "traffic": "100",
            "name-0": "control",
            "name-1": "treatment",
        }
    fields = {
        "name": str(experiment["name"]),
        "surface": str(experiment["surface"]),
        "traffic": f"{experiment['traffic'] * 100:g}",
        "design": str((experiment.get("design") or {}).get("kind", "split")),
        "kept": orjson.dumps(
            {name: experiment[name] for name in KEPT if experiment.get(name) is not None}
            | {
                "variants": {
                    variant["name"]: {part: variant[part] for part in KEPT_OF_VARIANTS if variant.get(part)}
                    for variant in experiment["variants"]
                }
            }
        ).decode(),
    }
    for number, variant in enumerate(experiment["variants"]):
        fields[f"name-{number}"] = str(variant["name"])
        fields[f"weight-{number}"] = f"{variant['weight']:g}"
        fields[f"strategy-{number}"] = variant["strategy"] or ""
    return fields


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
