"""Definitions of experiments, their versions, and the validity of their results."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.events.placements import Placement, strategy_problems
from shared.events.values import Text
from shared.experiments import Experiment, Slug, Surface, Variant


class Definition(BaseModel):
    """The definition of an experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    surface: Surface = Field(
        description="recommendations, similar-items, item-affinity, campaign/<name> or placement/<name>"
    )
    variants: tuple[Variant, ...] = Field(min_length=2, max_length=20)
    traffic: float = Field(1.0, gt=0, le=1, description="share of the units that take part")
    salt: Text | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="changes the assignment of units; generated if it is missing",
    )

    @field_validator("variants", mode="before")
    @classmethod
    def _refuse_unknown_members(cls, variants: Any) -> Any:
        """Raise ValueError for a placement with a member that placements do not have."""
        for variant in variants if isinstance(variants, list) else ():
            if isinstance(variant, dict) and isinstance(variant.get("placement"), dict):
                Placement.model_validate(variant["placement"], extra="forbid")
        return variants

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            message = f"two variants have the same name: {', '.join(names)}"
            raise ValueError(message)
        problems = [problem for variant in self.variants for problem in _problems(variant, self.surface)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _problems(variant: Variant, surface: str) -> Iterator[str]:
    """Yield a sentence for each member of a variant that the surface does not have, or that is invalid."""
    if not surface.startswith("placement/"):
        for member in ("placement", "filter"):
            if getattr(variant, member) is not None:
                yield f"variant {variant.name}: {member} needs a surface placement/<name>, not {surface}"
    elif variant.placement is not None:
        if variant.strategy is not None:
            yield f"variant {variant.name}: give placement or strategy, not both"
        for problem in strategy_problems(variant.placement):
            yield f"variant {variant.name}: placement.{problem}"
    elif variant.strategy in {"campaign", "recipe", "fixed"}:
        yield (
            f"variant {variant.name}: the strategy {variant.strategy} needs an argument; name a recipe, a "
            "campaign by its ARN, or a whole placement"
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


def _ranges(variants: tuple[Variant, ...]) -> list[tuple[str, float]]:
    return [(variant.name, variant.weight) for variant in variants]


def _fields(definition: Definition, version: int, salt: str) -> dict[str, Any]:
    return {
        "name": definition.name,
        "version": version,
        "surface": definition.surface,
        "traffic": definition.traffic,
        "salt": salt,
        "variants": [variant.model_dump(mode="json", exclude_none=True) for variant in definition.variants],
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
