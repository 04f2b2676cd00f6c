"""Experiments: variants on a surface, for a share of the traffic."""

from __future__ import annotations

import math
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from services.router.domain.assignment import is_eligible, range_ends, variant_index
from shared.events.values import Name, Text

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Surface = Annotated[
    str,
    StringConstraints(
        pattern=r"^(recommendations|similar-items|item-affinity|campaign/[a-zA-Z0-9][a-zA-Z0-9\-_]{0,62})$"
    ),
]
Strategy = Annotated[
    str,
    StringConstraints(max_length=256, pattern=r"^([a-z0-9][a-z0-9-]*|arn:[!-~]*:campaign/[!-~]+)$"),
]
"""A recipe, or a campaign's ARN: printable ASCII of at most 256 characters, as in Amazon Personalize."""

_NAME = TypeAdapter[str](Name)


class Variant(BaseModel):
    """One of the alternatives that an experiment compares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    weight: float = Field(
        1.0, ge=1e-9, le=1e9, allow_inf_nan=False, description="relative to the weights of the other variants"
    )
    strategy: Strategy | None = Field(
        None, description="a recipe, or a campaign's ARN; without one, the surface answers as usual"
    )


class Definition(BaseModel):
    """The definition of an experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    surface: Surface = Field(description="recommendations, similar-items, item-affinity or campaign/<name>")
    variants: tuple[Variant, ...] = Field(min_length=2, max_length=20)
    traffic: float = Field(1.0, gt=0, le=1, description="share of the units that take part")
    salt: Text | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="changes the assignment of units; generated if it is missing",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            message = f"two variants have the same name: {', '.join(names)}"
            raise ValueError(message)
        return self


class Experiment(BaseModel):
    """One version of an experiment, of which only the status changes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tenant: str
    name: str
    version: int
    surface: str
    variants: tuple[Variant, ...]
    traffic: float
    salt: str
    status: Literal["draft", "running", "stopped"]
    created_at: datetime
    started_at: datetime | None = None
    stopped_at: datetime | None = None

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        return range_ends([variant.weight for variant in self.variants])

    def assign(self, unit: str) -> Variant | None:
        """Return the unit's variant; None for a unit outside the traffic, or one that is not a valid name."""
        if not _is_name(unit) or not is_eligible(self.salt, unit, self.traffic):
            return None
        return self.variants[variant_index(self.salt, unit, self._ends)]

    def takes_part(self, unit: str) -> bool:
        """Return whether a unit, which must be a valid name, has a variant."""
        return self.traffic == 1 or is_eligible(self.salt, unit, self.traffic)

    def was_running(self, at: datetime) -> bool:
        """Return whether the experiment was running at that time."""
        return (
            self.started_at is not None
            and self.started_at <= at
            and (self.stopped_at is None or at < self.stopped_at)
        )


class Outcome(BaseModel):
    """Events of one type since the units' first exposures."""

    model_config = ConfigDict(frozen=True)

    events: int
    units: int = Field(description="exposed units with at least one such event")
    value: float | None = Field(None, description="sum of the values of the events that have one")
    values_left_out: int = Field(
        0, description="number of values beyond 1e12, which are not in the sum; their events count"
    )


class Counts(BaseModel):
    """Units and outcomes of a version, by variant.

    `mixed` are units that were exposed to several variants; `crossed` are users who were, as a visitor and
    after a login.
    """

    model_config = ConfigDict(frozen=True)

    units: dict[str, int]
    mixed: int
    crossed: int
    outcomes: dict[str, dict[str, Outcome]]


def next_version(definition: Definition, latest: Experiment | None, new_salt: str) -> dict[str, Any] | None:
    """Return the fields of the next version; None if the definition equals the latest one.

    The salt stays the same as long as the ranges of the variants do: a unit that took part before keeps its
    variant, whatever the traffic. Other weights or variants get a new salt.
    """
    if latest is None:
        return _fields(definition, 1, definition.salt or new_salt)
    same_ranges = _ranges(definition.variants) == _ranges(latest.variants)
    salt = definition.salt or (latest.salt if same_ranges else new_salt)
    fields = _fields(definition, latest.version + 1, salt)
    same = all(getattr(latest, name) == fields[name] for name in ("surface", "traffic", "salt"))
    return None if same and latest.variants == definition.variants else fields


def _is_name(unit: str) -> bool:
    """Return whether an exposure event can hold the unit, which is text of a request."""
    try:
        _NAME.validate_python(unit)
    except ValidationError:
        return False
    return True


def _ranges(variants: tuple[Variant, ...]) -> list[tuple[str, float]]:
    return [(variant.name, variant.weight) for variant in variants]


def _fields(definition: Definition, version: int, salt: str) -> dict[str, Any]:
    return {
        "name": definition.name,
        "version": version,
        "surface": definition.surface,
        "traffic": definition.traffic,
        "salt": salt,
        "variants": [variant.model_dump() for variant in definition.variants],
    }


def sample_ratio_p(units: list[int], weights: list[float]) -> float | None:
    """Return the p-value of a χ² test of the numbers of units against the weights (sample ratio mismatch).

    Below 0.001 the assignment or the counting is faulty, and no result is valid (Fabijan et al., KDD 2019).
    Return None below a hundred units.
    """
    total, weight = sum(units), sum(weights)
    if total < 100 or len(units) < 2:
        return None
    expected = [total * share / weight for share in weights]
    chi2 = sum((count - mean) ** 2 / mean for count, mean in zip(units, expected, strict=True))
    return _chi2_survival(chi2, len(units) - 1)


def _chi2_survival(x: float, degrees: int) -> float:
    """Return the upper tail of χ² for integral degrees of freedom (Abramowitz & Stegun 26.4.4 and 26.4.5)."""
    half = x / 2
    if degrees % 2 == 0:
        term = total = math.exp(-half)
        for k in range(1, degrees // 2):
            term *= half / k
            total += term
        return min(total, 1.0)
    total = math.erfc(math.sqrt(half))
    term = math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
    for k in range(1, (degrees - 1) // 2 + 1):
        total += term
        term *= half / (k + 0.5)
    return min(total, 1.0)
