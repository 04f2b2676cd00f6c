"""An experiment: variants on a surface, for a share of the traffic."""

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

from services.router.domain.assignment import chosen, ends, is_eligible
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
"""A recipe, or a campaign's ARN: printable ASCII of at most 256 characters, as Amazon Personalize has it."""

_NAME = TypeAdapter[str](Name)


class Variant(BaseModel):
    """One of the alternatives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    weight: float = Field(
        1.0, ge=1e-9, le=1e9, allow_inf_nan=False, description="relative to the other variants'"
    )
    strategy: Strategy | None = Field(
        None, description="a recipe, or a campaign's ARN; none is what the surface answers without"
    )


class Definition(BaseModel):
    """What somebody wants to try."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    surface: Surface = Field(description="recommendations, similar-items, item-affinity or campaign/<name>")
    variants: tuple[Variant, ...] = Field(min_length=2, max_length=20)
    traffic: float = Field(1.0, gt=0, le=1, description="share of the units that take part")
    salt: Text | None = Field(
        None, min_length=1, max_length=100, description="changes who gets what; made if there is none"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            message = f"two variants have the same name: {', '.join(names)}"
            raise ValueError(message)
        return self


class Experiment(BaseModel):
    """One version of an experiment. It never changes but for its status."""

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
        return ends([variant.weight for variant in self.variants])

    def assign(self, unit: str) -> Variant | None:
        """The unit's variant; None for one outside the share of traffic, or that no event could name."""
        if not _is_name(unit) or not is_eligible(self.salt, unit, self.traffic):
            return None
        return self.variants[chosen(self.salt, unit, self._ends)]

    def takes_part(self, unit: str) -> bool:
        """Return whether a unit, which is a valid name, has a variant."""
        return self.traffic == 1 or is_eligible(self.salt, unit, self.traffic)

    def was_running(self, at: datetime) -> bool:
        """Whether it was running at that time."""
        return (
            self.started_at is not None
            and self.started_at <= at
            and (self.stopped_at is None or at < self.stopped_at)
        )


class Outcome(BaseModel):
    """Events of one type, from a unit's first exposure on."""

    model_config = ConfigDict(frozen=True)

    events: int
    units: int = Field(description="how many of the exposed units did it at least once")
    value: float | None = Field(None, description="sum of the events' values, where they had one")
    values_left_out: int = Field(
        0, description="values beyond 1e12 among them, which the sum leaves out; the events count"
    )


class Counts(BaseModel):
    """Units and outcomes of a version, by variant.

    `mixed` are units that saw several variants, `crossed` users who did under ids of their own.
    """

    model_config = ConfigDict(frozen=True)

    units: dict[str, int]
    mixed: int
    crossed: int
    outcomes: dict[str, dict[str, Outcome]]


def next_version(definition: Definition, latest: Experiment | None, new_salt: str) -> dict[str, Any] | None:
    """The fields of the version that a definition makes; None when it says what the latest one says.

    The salt stays as long as the ranges of the variants do: then a unit that took part before keeps its
    variant, whatever the traffic. Other weights or variants begin anew, with another salt.
    """
    if latest is None:
        return _fields(definition, 1, definition.salt or new_salt)
    same_ranges = _ranges(definition.variants) == _ranges(latest.variants)
    salt = definition.salt or (latest.salt if same_ranges else new_salt)
    fields = _fields(definition, latest.version + 1, salt)
    same = all(getattr(latest, name) == fields[name] for name in ("surface", "traffic", "salt"))
    return None if same and latest.variants == definition.variants else fields


def _is_name(unit: str) -> bool:
    """Whether an exposure can be told of a unit: it comes from a request as somebody wrote it."""
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
    """How likely shares this far from the weights are by chance: χ², one minus its distribution.

    Below 0.001 something is wrong with the counting, and no result should be believed. None before
    there are a hundred units.
    """
    total, weight = sum(units), sum(weights)
    if total < 100 or len(units) < 2:
        return None
    expected = [total * one / weight for one in weights]
    chi2 = sum((have - want) ** 2 / want for have, want in zip(units, expected, strict=True))
    return _chi2_survival(chi2, len(units) - 1)


def _chi2_survival(x: float, degrees: int) -> float:
    """The upper tail of χ² for whole degrees of freedom (Abramowitz & Stegun 26.4.4 and 26.4.5)."""
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
