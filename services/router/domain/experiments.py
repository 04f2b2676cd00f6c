"""Definitions of experiments, and their versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.router.domain.designs import design_problems
from services.router.domain.metrics import DEFAULT_METRICS, INTERLEAVING_METRICS, MAX_METRICS, Metric
from shared.events.placements import Placement, strategy_problems
from shared.events.values import Text
from shared.experiments import (
    HOLDOUT,
    PERIOD_MARK,
    Design,
    Experiment,
    Layer,
    Slug,
    Split,
    Surface,
    UnitRule,
    Variant,
)


class Definition(BaseModel):
    """The definition of an experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    surface: Surface = Field(
        description="recommendations, similar-items, item-affinity, campaign/<name>, placement/<name>, or "
        "holdout: its first variant takes part in no experiment"
    )
    variants: tuple[Variant, ...] = Field(min_length=2, max_length=20)
    traffic: float = Field(1.0, gt=0, le=1, description="share of the units that take part")
    salt: Text | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="changes the assignment of units; generated if it is missing",
    )
    layer: Layer | None = Field(
        None, description="a segment of a layer, which excludes the units of its other segments"
    )
    unit: UnitRule = Field("user_else_session", description="which of a request's two ids gets the variant")
    design: Design = Field(
        Split(), description="how requests get to the variants; by default each unit gets one of them"
    )
    trigger_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of the units whose answers are compared with those that the other variants would "
        "give, so that results also count people alone whose answers differ; it takes the CPU time of these "
        "answers",
    )
    metrics: tuple[Metric, ...] | None = Field(
        None,
        min_length=1,
        max_length=MAX_METRICS,
        description="what is compared, the deciding one first; purchases, revenue, clicks by default",
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
        metrics = [metric.name for metric in self.metrics or ()]
        if len(set(metrics)) != len(metrics):
            message = f"two metrics have the same name: {', '.join(metrics)}"
            raise ValueError(message)
        if self.surface == HOLDOUT and (len(names) != 2 or self.layer is not None):
            message = "a holdout has two variants, the held-out one first, and no layer"
            raise ValueError(message)
        problems = [*design_problems(self)]
        problems += [problem for variant in self.variants for problem in _problems(variant, self.surface)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _problems(variant: Variant, surface: str) -> Iterator[str]:
    """Yield a sentence for each member of a variant that the surface does not have, or that is invalid."""
    if surface == HOLDOUT and variant.model_dump(exclude={"name", "weight"}, exclude_none=True):
        yield f"variant {variant.name}: a holdout's variants have a name and a weight alone"
    elif not surface.startswith("placement/"):
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


class Decision(BaseModel):
    """A decision about an experiment."""

    model_config = ConfigDict(frozen=True)

    variant: str | None = Field(description="the variant that is kept; null for none")
    reason: str
    decided_by: str = Field(description="identifies the key of the caller")
    decided_at: datetime


class StoredVersion(Experiment):
    """A version with what only the router needs.

    Versions of the same phase are one measurement: they differ in metrics or in a traffic that was raised.
    `disabled_at` is when its first variant was disabled: later exposures do not count.
    """

    phase: int = 1
    metrics: tuple[Metric, ...] | None = None
    disabled_at: datetime | None = None
    decision: Decision | None = None

    @property
    def measured(self) -> tuple[Metric, ...]:
        """Return the metrics, the deciding one first."""
        return self.metrics or (INTERLEAVING_METRICS if self.is_interleaved else DEFAULT_METRICS)

    @cached_property
    def counted_types(self) -> frozenset[str]:
        """Return the event types that the metrics name."""
        amounts = (amount for metric in self.measured for amount in (metric, metric.per) if amount)
        return frozenset(amount.event for amount in amounts)


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


def next_version(
    definition: Definition, latest: StoredVersion | None, new_salt: str
) -> dict[str, Any] | None:
    """Return the fields of the next version; None if the definition equals the latest one.

    The salt stays the same as long as the ranges of the variants do: a unit that took part before keeps its
    variant, whatever the traffic. Other weights or variants get a new salt, so that units which met a variant
    before are spread evenly. A version begins a new phase unless only its metrics differ or its traffic was
    raised: raising it moves nobody.
    """
    if latest is None:
        return _fields(definition, 1, definition.salt or new_salt, 1)
    definition = _with_learnt_weights(definition, latest)
    same_ranges = _ranges(definition.variants) == _ranges(latest.variants)
    salt = definition.salt or (latest.salt if same_ranges else new_salt)
    unchanged = (
        latest.variants == definition.variants
        and (latest.surface, latest.salt, latest.unit) == (definition.surface, salt, definition.unit)
        and (latest.layer, latest.design) == (definition.layer, definition.design)
        and latest.trigger_share == definition.trigger_share
    )
    if unchanged and (latest.traffic, latest.metrics) == (definition.traffic, definition.metrics):
        return None
    is_same_phase = unchanged and latest.traffic <= definition.traffic and latest.stopped_at is None
    return _fields(definition, latest.version + 1, salt, latest.phase + (not is_same_phase))


def _with_learnt_weights(definition: Definition, latest: StoredVersion) -> Definition:
    """Return the definition with the present weights of a bandit that goes on with the same variants."""
    weights = {variant.name: variant.weight for variant in latest.variants}
    names = {variant.name for variant in definition.variants}
    is_same = definition.design.kind == latest.design.kind == "bandit" and names == weights.keys()
    if not is_same or latest.stopped_at is not None:
        return definition
    variants = [each.model_copy(update={"weight": weights[each.name]}) for each in definition.variants]
    base = latest.salt.partition(PERIOD_MARK)[0]
    salt = None if definition.salt == base else definition.salt
    return definition.model_copy(update={"variants": tuple(variants), "salt": salt})


def period_of(version: StoredVersion, weights: Mapping[str, float]) -> dict[str, Any]:
    """Return the fields of the next period of a bandit: a version and a phase of its own."""
    number = version.version + 1
    variants = [each.model_copy(update={"weight": weights[each.name]}) for each in version.variants]
    definition = Definition.model_construct(
        name=version.name,
        surface=version.surface,
        variants=tuple(variants),
        traffic=version.traffic,
        layer=version.layer,
        unit=version.unit,
        design=version.design,
        trigger_share=None,
        metrics=version.metrics,
    )
    salt = f"{version.salt.partition(PERIOD_MARK)[0]}{PERIOD_MARK}{number}"
    return _fields(definition, number, salt, version.phase + 1)


def _ranges(variants: tuple[Variant, ...]) -> list[tuple[str, float]]:
    return [(variant.name, variant.weight) for variant in variants]


def _fields(definition: Definition, version: int, salt: str, phase: int) -> dict[str, Any]:
    metrics = definition.metrics
    return {
        "name": definition.name,
        "version": version,
        "surface": definition.surface,
        "traffic": definition.traffic,
        "salt": salt,
        "variants": [variant.model_dump(mode="json", exclude_none=True) for variant in definition.variants],
        "layer": None if definition.layer is None else definition.layer.model_dump(),
        "unit": definition.unit,
        "design": definition.design.model_dump(mode="json"),
        "trigger_share": definition.trigger_share,
        "metrics": None if metrics is None else [each.model_dump(mode="json") for each in metrics],
        "phase": phase,
    }
