"""From credits of interleaved answers to preferences of people. Importing it loads numpy and scipy.

See docs/experiments.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from services.router import statistics
from services.router.domain.results import (
    Health,
    Planning,
    Preference,
    PreferenceResult,
    Results,
    VariantCredit,
    VariantUnits,
    Verdict,
)
from shared.experiments import INTERLEAVED

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metric_sums import Credits, InterleavedSums
    from services.router.domain.metrics import Metric

ALPHA: Final = 0.05
LEAST_PREFERRING: Final = 20
"""People with a preference below which no verdict is given. Arbitrary: 15 wins of 20 are p = 0.04."""


def preferences_of(version: StoredVersion, sums: InterleavedSums) -> Results:
    """Return the results of an interleaving experiment: which variant the people prefer, by each metric."""
    names = [variant.name for variant in version.variants]
    weight = sum(variant.weight for variant in version.variants)
    results = [
        _result(metric, names, sums.credited.get(number, ()), sums.people)
        for number, metric in enumerate(version.measured)
    ]
    return Results(
        name=version.name,
        phase=version.phase,
        versions=list(sums.versions),
        began_at=sums.began_at,
        counted_until=version.disabled_at,
        units=[VariantUnits(variant=INTERLEAVED, weight=weight, units=sums.people, disabled=False)],
        health=Health(
            is_valid=True,
            problems=[],
            sample_ratio_p=None,
            sample_ratio_sequential_p=None,
            crossed_units=0,
            merged_units=0,
            bots=sums.bots,
        ),
        planning=Planning(
            relative_effect=0.0,
            required_units=None,
            units=sums.people,
            days_left=None,
            detectable_effect=None,
        ),
        metrics=[],
        preferences=results,
    )


def _result(
    metric: Metric, names: Sequence[str], credited: Sequence[Credits], people: int
) -> PreferenceResult:
    """Return the credits of all variants, and the preferences between each and the first."""
    counts = np.array([count for _, count in credited], dtype=np.int64)
    table = np.array([[each.get(name, 0.0) for name in names] for each, _ in credited], dtype=np.float64)
    table = table.reshape(len(credited), len(names))
    if not metric.higher_is_better:
        table = -table
    # People without an event prefer nothing.
    counts = np.append(counts, max(people - int(counts.sum()), 0))
    table = np.vstack([table, np.zeros(len(names))])
    totals = np.abs(counts @ table)
    return PreferenceResult(
        metric=metric,
        variants=[
            VariantCredit(
                variant=name,
                credit=float(totals[place]),
                comparison=None if place == 0 else _preference(table[:, place], table[:, 0], counts),
            )
            for place, name in enumerate(names)
        ],
    )


def _preference(
    treatment: statistics.Floats,
    control: statistics.Floats,
    counts: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> Preference:
    """Return the preference of people; the bootstrap draws the same resamples in every call."""
    units = np.repeat(np.sign(treatment - control), counts)
    result = statistics.preference(units, np.zeros(units.size), np.random.default_rng(0))
    at_any_look = float(statistics.sequential_multinomial_p([result.wins, result.losses], [1.0, 1.0]))
    return Preference(
        wins=result.wins,
        losses=result.losses,
        ties=result.ties,
        share=_number(result.share),
        low=_number(result.low),
        high=_number(result.high),
        one_look_p=_number(result.p),
        p=_number(at_any_look),
        verdict=_verdict(result, at_any_look),
    )


def _verdict(result: statistics.Preference, p: float) -> Verdict:
    if result.wins + result.losses < LEAST_PREFERRING or math.isnan(p):
        return "too few units"
    if p >= ALPHA:
        return "no difference shown"
    return "better" if result.wins > result.losses else "worse"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
