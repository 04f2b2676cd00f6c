"""A dry run of a split: how an experiment would assign units, without any request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.experiments import INTERLEAVED

if TYPE_CHECKING:
    from shared.experiments import Experiment

HELD_OUT, OUTSIDE = "", "-"
"""Results of `assigned` for a unit of the holdout, and for one that takes no part."""
LARGEST_SAMPLE: Final = 200_000
"""Units of a sample; it takes about a second of CPU. Arbitrary."""


class Split(NamedTuple):
    """Units by variant, those that the holdout keeps out, and those that take no part."""

    variants: dict[str, int]
    held_out: int
    outside: int


def assigned(experiment: Experiment, holdouts: Sequence[Experiment], unit: str) -> str:
    """Return the name of the unit's variant; HELD_OUT or OUTSIDE for a unit that has none."""
    variant = experiment.assign(unit)
    if variant is None:
        return OUTSIDE
    if unit not in experiment.forced:
        for holdout in holdouts:
            if holdout.assign(unit) is holdout.variants[0]:
                return HELD_OUT
    return variant.name


def split(experiment: Experiment, holdouts: Sequence[Experiment], units: Iterable[str]) -> Split:
    """Return how many of the units each variant would get."""
    counts = Counter(assigned(experiment, holdouts, unit) for unit in units)
    groups = [INTERLEAVED] if experiment.is_interleaved else [variant.name for variant in experiment.variants]
    variants = {name: counts[name] for name in groups}
    return Split(variants, counts[HELD_OUT], counts[OUTSIDE])


def sample_units(count: int) -> Iterable[str]:
    """Yield names of units that no visitor has."""
    return (f"sample-{number}" for number in range(count))
