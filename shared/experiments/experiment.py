"""One version of an experiment: its variants, and which of them a unit gets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from shared.events import ExperimentChanged, LayerState, VariantState, derived_id
from shared.events.placements import FilterUse, Placement
from shared.events.values import LONGEST_ID, Name
from shared.experiments.assignment import (
    in_segment,
    is_compared,
    is_eligible,
    range_ends,
    variant_index,
    window_index,
)
from shared.experiments.designs import INTERLEAVED, Design, Split

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
VariantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Surface = Annotated[
    str,
    StringConstraints(
        pattern=r"^(recommendations|similar-items|item-affinity|holdout|campaign/[a-zA-Z0-9][a-zA-Z0-9\-_]{0,62}"
        r"|placement/[a-z0-9][a-z0-9-]{0,62})$"
    ),
]
Strategy = Annotated[
    str,
    StringConstraints(
        max_length=256, pattern=r"^([a-z0-9][a-z0-9-]*(@[1-9][0-9]{0,17})?|arn:[!-~]*:campaign/[!-~]+)$"
    ),
]
"""A recipe, or a campaign's ARN: printable ASCII of at most 256 characters, as in Amazon Personalize. For a
placement also the name of a strategy of placements. `recipe@17` are the recipe's lists of generation 17."""

UnitRule = Literal["user_else_session", "session_else_user", "user", "session"]
"""The rule that chooses the unit of the two ids of a request. With `session_else_user` a visitor who logs in
keeps the variant while requests name the same session; with `user` or `session` requests without that id take
no part."""

Status = Literal["draft", "running", "paused", "stopped", "decided", "archived"]
ENDED = frozenset({"stopped", "decided", "archived"})
"""The states after the measurement."""

PERIOD_MARK = "#"
"""Before the version in the salt of a bandit's period: each period draws the variants anew."""
LEAST_INTERLEAVED = 2
"""Variants below which nothing can be interleaved."""

_NAME = TypeAdapter[str](Name)


class Variant(BaseModel):
    """One of the alternatives that an experiment compares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: VariantName
    weight: float = Field(
        1.0, ge=1e-9, le=1e9, allow_inf_nan=False, description="relative to the weights of the other variants"
    )
    strategy: Strategy | None = Field(
        None,
        description="a recipe, or a campaign's ARN; for a placement also a strategy of placements. Without "
        "one, the surface answers as usual",
    )
    placement: Placement | None = Field(
        None, description="only for a placement: the definition that answers instead"
    )
    filter: FilterUse | None = Field(
        None, description="only for a placement: a filter that applies beside those of the definition"
    )


class Layer(BaseModel):
    """A segment of a layer. Experiments with disjoint segments of the same layer never have a common unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    start: float = Field(0.0, ge=0, lt=1, description="the beginning of the segment, from 0 to 1")
    end: float = Field(1.0, gt=0, le=1, description="the end of the segment, which it does not include")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start >= self.end:
            message = (
                f"the segment begins at {self.start:g} and ends at {self.end:g}: start must be below end"
            )
            raise ValueError(message)
        return self

    def overlaps(self, another: Layer) -> bool:
        """Return whether the two segments may have a common unit: always in different layers."""
        return self.name != another.name or (self.start < another.end and another.start < self.end)


class Experiment(BaseModel):
    """One version of an experiment. Its definition never changes; the status, `forced` and `disabled` do."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tenant: str
    name: str
    version: int
    surface: str
    variants: tuple[Variant, ...]
    traffic: float
    salt: str
    status: Status
    created_at: datetime
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    layer: Layer | None = None
    unit: UnitRule = "user_else_session"
    design: Design = Split()
    trigger_share: float | None = Field(
        None, description="share of the units whose answers are compared with those of the other variants"
    )
    forced: Mapping[str, str] = Field(default_factory=dict, description="unit → the variant that it gets")
    disabled: tuple[str, ...] = Field((), description="variants whose units are answered as usual")
    revision: int = Field(1, description="grows with every change of the state of this version")
    changed_at: datetime | None = None

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        return range_ends([variant.weight for variant in self.variants])

    @cached_property
    def enabled(self) -> tuple[Variant, ...]:
        """Return the variants that are not disabled."""
        return tuple(variant for variant in self.variants if variant.name not in self.disabled)

    @cached_property
    def _common(self) -> Variant | None:
        """Return the variant of all units in a design that does not divide them; None if none answers."""
        if self.is_shadow:
            return self.variants[0]
        return Variant(name=INTERLEAVED) if len(self.enabled) >= LEAST_INTERLEAVED else None

    @property
    def is_shadow(self) -> bool:
        """Return whether everybody gets the usual answer, and the other variants answer unseen."""
        return self.design.kind == "shadow"

    @property
    def is_interleaved(self) -> bool:
        """Return whether answers have items of all variants."""
        return self.design.kind == "interleaving"

    @cached_property
    def _by_name(self) -> dict[str, Variant]:
        return {variant.name: variant for variant in self.variants}

    @classmethod
    def of(cls, changed: ExperimentChanged) -> Experiment:
        """Return the experiment that an event describes; raise ValidationError if it is not valid."""
        return cls.model_validate(changed.model_dump() | {"version": changed.experiment_version})

    def changed(self) -> ExperimentChanged:
        """Return the event that describes the experiment, which must have started."""
        assert self.started_at is not None
        return ExperimentChanged(
            event_id=derived_id(self.tenant, self.name, self.version, self.status, self.revision),
            tenant=self.tenant,
            occurred_at=self.changed_at or self.stopped_at or self.started_at,
            name=self.name,
            experiment_version=self.version,
            surface=self.surface,
            variants=tuple(VariantState(**variant.model_dump()) for variant in self.variants),
            traffic=self.traffic,
            salt=self.salt,
            status=self.status,
            created_at=self.created_at,
            started_at=self.started_at,
            stopped_at=self.stopped_at,
            layer=None if self.layer is None else LayerState(**self.layer.model_dump()),
            unit=self.unit,
            design=None if isinstance(self.design, Split) else self.design.model_dump(mode="json"),
            trigger_share=self.trigger_share,
            forced=dict(self.forced),
            disabled=self.disabled,
            revision=self.revision,
        )

    @property
    def order(self) -> tuple[int, bool, int]:
        """Return what orders the states of an experiment: the larger one is the later state."""
        return self.version, self.stopped_at is not None, self.revision

    def unit_of(self, user_id: str | None, session_id: str | None) -> str | None:
        """Return the unit of a request by the unit rule; None for a request that has none."""
        if self.unit == "user_else_session":
            return user_id or session_id
        if self.unit == "session_else_user":
            return session_id or user_id
        return user_id if self.unit == "user" else session_id

    def assign(self, unit: str, at: float | None = None) -> Variant | None:
        """Return the unit's variant, without state: the same in every process and after every outage.

        None for a unit outside of the segment or the traffic, for one that is not a valid name, and for one
        of a disabled variant. A forced unit gets its variant in any case. All units of an interleaving
        experiment get the same one, named `interleaved`; those of a switchback that of the window at a time,
        in seconds since 1970, by default now.
        """
        if self.forced and unit in self.forced:
            return self._by_name.get(self.forced[unit])
        if not _is_name(unit) or not self.takes_part(unit):
            return None
        if self.is_interleaved or self.is_shadow:
            return self._common
        if self.design.kind == "switchback":
            window = self.design.window(time.time() if at is None else at)
            variant = self.variants[window_index(self.salt, window, len(self.variants))]
        else:
            variant = self.variants[variant_index(self.salt, unit, self._ends)]
        return None if variant.name in self.disabled else variant

    def compares(self, unit: str) -> bool:
        """Return whether the answers to a unit are compared with those of the other variants."""
        return self.trigger_share is not None and is_compared(self.salt, unit, self.trigger_share)

    def window(self, seconds: float) -> int | None:
        """Return the window of a switchback at a time, in seconds since 1970; None in another design."""
        return self.design.window(seconds) if self.design.kind == "switchback" else None

    def propensity(self, variant: Variant) -> float | None:
        """Return the probability with which a unit that takes part gets a variant; None if none is drawn."""
        return self._propensities.get(variant.name)

    @cached_property
    def _propensities(self) -> dict[str, float]:
        if self.is_interleaved or self.is_shadow:
            return {}
        total = sum(variant.weight for variant in self.variants)
        return {variant.name: round(variant.weight / total, 9) for variant in self.variants}

    def takes_part(self, unit: str) -> bool:
        """Return whether a unit, which must be a valid name, is in the segment and within the traffic."""
        if self.layer is not None and not in_segment(self.layer.name, unit, self.layer.start, self.layer.end):
            return False
        return self.traffic == 1 or is_eligible(self._traffic_salt, unit, self.traffic)

    @cached_property
    def _traffic_salt(self) -> str:
        """Return the salt of the traffic: the periods of a bandit have the same units."""
        return self.salt.partition(PERIOD_MARK)[0] if self.design.kind == "bandit" else self.salt

    def was_running(self, at: datetime) -> bool:
        """Return whether the experiment was running at that time."""
        return (
            self.started_at is not None
            and self.started_at <= at
            and (self.stopped_at is None or at < self.stopped_at)
        )


def _is_name(unit: str) -> bool:
    """Return whether an exposure event can hold the unit, which is text of a request."""
    if unit.isascii() and "\0" not in unit:
        return 0 < len(unit) <= LONGEST_ID  # the same rules in a tenth of the time
    try:
        _NAME.validate_python(unit)
    except ValidationError:
        return False
    return True
