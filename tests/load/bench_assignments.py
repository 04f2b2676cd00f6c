"""A million assignments: CPU time each, shares per variant, and units that a ramp moves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from services.router.statistics.sample_ratio import chi_squared_p
from shared.experiments import Experiment, Layer, Variant
from tests.load.figures import Figure

UNITS = 1_000_000
NOW = datetime(2026, 11, 20, tzinfo=UTC)
THIRDS = (Variant(name="a", weight=33), Variant(name="b", weight=33), Variant(name="c", weight=34))


def experiment(**fields: object) -> Experiment:
    """Return an experiment of three variants at 33, 33 and 34."""
    defaults: dict[str, object] = {
        "tenant": "shop",
        "name": "thirds",
        "version": 1,
        "surface": "recommendations",
        "variants": THIRDS,
        "traffic": 1.0,
        "salt": "salt",
        "status": "running",
        "created_at": NOW,
        "started_at": NOW,
    }
    return Experiment.model_validate(defaults | fields)


def run() -> list[Figure]:
    """Return the figures of a million units."""
    return list(measure(UNITS))


def measure(count: int) -> Iterator[Figure]:
    """Yield the figures of `count` units."""
    units = [f"user-{number}" for number in range(count)]
    everybody = experiment()
    variants, seconds = assigned(everybody, units)
    counts = Counter(variants)
    sizes = [counts[variant.name] for variant in THIRDS]
    yield Figure("assignment, all traffic", seconds / count * 1e6, "CPU µs")
    for variant, size in zip(THIRDS, sizes, strict=True):
        yield Figure(f"share of {variant.name}, weight {variant.weight:g}", size / count * 100, "%")
    p = chi_squared_p(sizes, [variant.weight for variant in THIRDS])
    yield Figure("p of the shares against the weights", float(p), "")

    segment = Layer(name="home", start=0.0, end=0.5)
    _, seconds = assigned(experiment(layer=segment, traffic=0.5), units)
    yield Figure("assignment, half of a layer, half of the traffic", seconds / count * 1e6, "CPU µs")

    small, _ = assigned(experiment(traffic=0.05), units)
    large, _ = assigned(experiment(traffic=0.5), units)
    moved = sum(before is not None and before != after for before, after in zip(small, large, strict=True))
    yield Figure("units moved by a ramp from 5 to 50 %", float(moved), "units")


def assigned(version: Experiment, units: list[str]) -> tuple[list[str | None], float]:
    """Return the names of the units' variants, and the CPU seconds."""
    assign = version.assign
    began = time.process_time()
    variants = [assign(unit) for unit in units]
    seconds = time.process_time() - began
    return [None if variant is None else variant.name for variant in variants], seconds
