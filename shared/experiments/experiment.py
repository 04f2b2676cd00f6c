"""One version of an experiment: its variants, and which of them a unit gets."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from shared.events import ExperimentChanged, VariantState, derived_id
from shared.events.placements import FilterUse, Placement
from shared.events.values import LONGEST_ID, Name
from shared.experiments.assignment import is_eligible, range_ends, variant_index

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Surface = Annotated[
    str,
    StringConstraints(
        pattern=r"^(recommendations|similar-items|item-affinity|campaign/[a-zA-Z0-9][a-zA-Z0-9\-_]{0,62}"
        r"|placement/[a-z0-9][a-z0-9-]{0,62})$"
    ),
]
Strategy = Annotated[
    str,
    StringConstraints(max_length=256, pattern=r"^([a-z0-9][a-z0-9-]*|arn:[!-~]*:campaign/[!-~]+)$"),
]
"""A recipe, or a campaign's ARN: printable ASCII of at most 256 characters, as in Amazon Personalize. For a
placement also the name of a strategy of placements."""

_NAME = TypeAdapter[str](Name)


class Variant(BaseModel):
    """One of the alternatives that an experiment compares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
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

    @classmethod
    def of(cls, changed: ExperimentChanged) -> Experiment:
        """Return the experiment that an event describes; raise ValidationError if it is not valid."""
        return cls.model_validate(changed.model_dump() | {"version": changed.experiment_version})

    def changed(self) -> ExperimentChanged:
        """Return the event that describes the experiment, which must have started."""
        assert self.started_at is not None
        return ExperimentChanged(
            event_id=derived_id(self.tenant, self.name, self.version, self.status),
            tenant=self.tenant,
            occurred_at=self.stopped_at or self.started_at,
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
        )

    def assign(self, unit: str) -> Variant | None:
        """Return the unit's variant; None for a unit outside the traffic, or one that is not a valid name."""
        if not _is_name(unit) or not self.takes_part(unit):
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


def _is_name(unit: str) -> bool:
    """Return whether an exposure event can hold the unit, which is text of a request."""
    if unit.isascii() and "\0" not in unit:
        return 0 < len(unit) <= LONGEST_ID  # the same rules in a tenth of the time
    try:
        _NAME.validate_python(unit)
    except ValidationError:
        return False
    return True
