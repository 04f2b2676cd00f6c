"""Definitions of experiments from forms, and their results with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Self

Row = Mapping[str, Any]

VARIANTS: Final = 4
"""Variants of a form; the API takes up to twenty. Arbitrary."""
SURFACES: Final = ("recommendations", "similar-items", "item-affinity")
LEAST_UNITS: Final = 50
"""Units of a variant below which no verdict is given, as in Flagsmith; the approximations need some."""
_Z: Final = 1.959963984540054
"""The 97.5th percentile of the normal distribution, for intervals of 95 %."""

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


class VariantResult(NamedTuple):
    """Outcomes of a variant's units after their exposure; `difference` is to the first variant."""

    name: str
    share: float
    strategy: str | None
    exposed: int
    units: int
    events: int
    value: float | None
    rate: Interval | None
    difference: Interval | None
    lift: float | None
    verdict: Verdict

    @property
    def value_per_unit(self) -> float | None:
        """Return the value of the events per exposed unit; None without a value."""
        return None if self.value is None or not self.exposed else self.value / self.exposed


def definition(field: Callable[[str], str]) -> dict[str, Any]:
    """Return the definition in a form, for the router to check, without variants that have no name."""
    variants = []
    for number in range(VARIANTS):
        name, weight, strategy = (field(f"{part}-{number}") for part in ("name", "weight", "strategy"))
        if name:
            variants.append({"name": name, "weight": weight or "1", "strategy": strategy or None})
    return {
        "name": field("name"),
        "surface": field("surface"),
        "traffic": _share(field("traffic") or "100"),
        "variants": variants,
    }


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
    }
    for number, variant in enumerate(experiment["variants"]):
        fields[f"name-{number}"] = str(variant["name"])
        fields[f"weight-{number}"] = f"{variant['weight']:g}"
        fields[f"strategy-{number}"] = variant["strategy"] or ""
    return fields


def event_types(variants: Iterable[Row]) -> list[str]:
    """Return the types of events that units had: purchases first, then by the number of units."""
    units: dict[str, int] = {}
    for variant in variants:
        for name, outcome in variant["events"].items():
            units[name] = units.get(name, 0) + outcome["units"]
    return sorted(units, key=lambda name: (name != "purchase", -units[name], name))


def results(variants: Sequence[Row], event: str) -> list[VariantResult]:
    """Return the results of an experiment's variants for one type of events."""
    weight = sum(variant["weight"] for variant in variants)
    control = variants[0] if variants else None
    return [_result(variant, control, event, variant["weight"] / weight) for variant in variants]


def _result(variant: Row, control: Row | None, event: str, share: float) -> VariantResult:
    units, exposed = _counts(variant, event)
    outcome = variant["events"].get(event) or {"events": 0, "value": None}
    rate = wilson(units, exposed)
    contrast = None
    base = wilson(*_counts(control, event)) if control is not None else None
    if variant is not control and rate is not None and base is not None:
        contrast = newcombe(rate, base)
    return VariantResult(
        name=variant["name"],
        share=share,
        strategy=variant["strategy"],
        exposed=exposed,
        units=units,
        events=outcome["events"],
        value=outcome["value"],
        rate=rate,
        difference=contrast,
        lift=contrast.value / base.value if contrast and base and base.value else None,
        verdict=_verdict(contrast, min(exposed, _counts(control, event)[1]), is_control=variant is control),
    )


def _counts(variant: Row | None, event: str) -> tuple[int, int]:
    """Return the units with an event of a type, and the exposed units."""
    if variant is None:
        return 0, 0
    outcome = variant["events"].get(event)
    exposed = int(variant["exposed"])
    return min(int(outcome["units"]) if outcome else 0, exposed), exposed


def _verdict(difference: Interval | None, exposed: int, *, is_control: bool) -> Verdict:
    if is_control:
        return "control"
    if difference is None or exposed < LEAST_UNITS:
        return "too few units"
    if not difference.excludes_zero:
        return "no difference shown"
    return "better" if difference.value > 0 else "worse"


def wilson(successes: int, observations: int) -> Interval | None:
    """Return a proportion with its score interval (Wilson 1927); None without observations."""
    if not observations:
        return None
    share, spread = successes / observations, _Z * _Z / observations
    center = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / observations + spread / observations / 4) / (1 + spread)
    return Interval(share, max(0.0, center - half), min(1.0, center + half))


def newcombe(treatment: Interval, control: Interval) -> Interval:
    """Return the difference of two proportions with its interval, by their score intervals.

    Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    value = treatment.value - control.value
    below = math.hypot(treatment.value - treatment.low, control.high - control.value)
    above = math.hypot(treatment.high - treatment.value, control.value - control.low)
    return Interval(value, value - below, value + above)
