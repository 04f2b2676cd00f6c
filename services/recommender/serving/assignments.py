"""The variant of a unit, as every answer to it needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from services.recommender.domain.recipes import POPULARITY
from services.recommender.metrics import ASSIGNED, EXPOSED_FALLBACKS, EXPOSED_SECONDS
from services.recommender.serving.recommendation import POPULAR, ServedVariant
from shared.experiments import INTERLEAVED

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

    from shared.experiments import Experiment, Variant


class VariantCounters(NamedTuple):
    """Metrics of a variant: all answers, and the times and fallbacks of those that expose a unit."""

    answers: Counter
    seconds: Histogram
    fallbacks: Counter


@dataclass(slots=True)
class Assignment:
    """The variant of a unit, the headers of an answer that say so, and the variant as the answer names it."""

    experiment: Experiment
    variant: Variant
    unit: str
    headers: Sequence[tuple[bytes, bytes]]
    is_forced: bool = field(init=False)
    is_compared: bool = field(init=False)
    """True while answers are compared with those of the other variants, until one differs."""
    is_interleaved: bool = field(init=False)
    """True if the answer has items of all variants; a forced unit gets a variant alone."""
    is_usual: bool = field(init=False)
    """True if the variant gives the usual answer of a list."""
    answered: ServedVariant = field(init=False)
    counters: VariantCounters = field(init=False, compare=False)
    exposed_day: int = field(default=-1, init=False, compare=False)
    """The UTC day, since 1970, of the last exposure that was recorded."""

    def __post_init__(self) -> None:
        """Derive what every answer needs."""
        self.is_forced = self.unit in self.experiment.forced
        self.is_compared = not self.is_forced and self.experiment.compares(self.unit)
        self.is_interleaved = self.variant.name == INTERLEAVED and self.experiment.is_interleaved
        self.is_usual = self.variant.strategy is None and not self.is_interleaved
        propensity = None if self.is_forced else self.experiment.propensity(self.variant)
        name, version = self.experiment.name, self.experiment.version
        self.answered = ServedVariant(name, version, self.variant.name, propensity)
        self.counters = variant_counters(name, self.variant.name)

    def is_fallback(self, source: bytes) -> bool:
        """Return whether a list or campaign answered with popular items, which the variant does not name."""
        return source == POPULAR and self.variant.strategy != POPULARITY

    def served(self, strategy: str | None) -> ServedVariant | None:
        """Return the variant as the answer by `strategy` names it.

        None for the usual answer that is given instead of a variant whose strategy was refused.
        """
        return self.answered if strategy == self.variant.strategy else None


@lru_cache(maxsize=4_096)
def variant_counters(experiment: str, variant: str) -> VariantCounters:
    """Return the counters of the answers of a variant."""
    labels = experiment, variant
    return VariantCounters(
        ASSIGNED.labels(*labels), EXPOSED_SECONDS.labels(*labels), EXPOSED_FALLBACKS.labels(*labels)
    )
