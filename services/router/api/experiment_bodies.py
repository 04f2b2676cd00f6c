"""Bodies of the routes of experiments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.router.domain.experiments import Decision, Outcome
from services.router.domain.metrics import Metric
from services.router.domain.split import LARGEST_SAMPLE
from shared.events.values import Name, Text
from shared.experiments import Design, Layer, Status, UnitRule, Variant, VariantName

MAX_FORCED = 1_000
MAX_SPLIT_UNITS = 1_000


class ExperimentBody(BaseModel):
    """One version of an experiment."""

    name: str
    version: int
    phase: int = Field(description="versions of one phase are one measurement")
    surface: str
    traffic: float
    salt: str
    layer: Layer | None
    unit: UnitRule
    design: Design
    trigger_share: float | None = Field(
        description="share of the units whose answers are compared with those of the other variants"
    )
    status: Status
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    variants: list[Variant]
    metrics: list[Metric] | None = Field(description="null for the default metrics")
    forced: dict[str, str] = Field(description="unit for tests → its variant")
    disabled: list[str] = Field(description="variants whose units are answered as usual")
    decision: Decision | None
    revision: int = Field(description="grows with every change; with the version it is the ETag")


class VariantResult(Variant):
    """A variant with its counts."""

    exposed: int = Field(description="units that were exposed to it")
    events: dict[str, Outcome] = Field(
        description="their events since then, by canonical event type, such as purchase"
    )


class ExperimentResult(ExperimentBody):
    """One version of an experiment with its counts."""

    variants: list[VariantResult]  # type: ignore[assignment]
    sample_ratio_p: float | None = Field(
        description="p-value of the sizes of the groups; below 0.001 no result is valid"
    )
    mixed_units: int = Field(
        description="units that were exposed to several variants; more than 0 is a defect"
    )
    crossed_users: int = Field(
        description="users who were exposed to several variants: as a visitor, and after a login"
    )


class DecisionBody(BaseModel):
    """A decision about an experiment."""

    model_config = ConfigDict(extra="forbid")

    variant: VariantName | None = Field(None, description="the variant that is kept; null for none")
    reason: Text = Field(min_length=1, max_length=4_000, description="why, for those who read it later")


class ForcedUnits(BaseModel):
    """Units that get a variant for tests. They are no exposures, so they stay out of the results."""

    model_config = ConfigDict(extra="forbid")

    units: dict[Name, VariantName] = Field(
        max_length=MAX_FORCED, description="unit → the name of its variant"
    )


class SplitRequest(BaseModel):
    """The units of a dry run."""

    model_config = ConfigDict(extra="forbid")

    sample: int = Field(100_000, ge=0, le=LARGEST_SAMPLE, description="number of invented units")
    units: list[Name] = Field(
        default_factory=list, max_length=MAX_SPLIT_UNITS, description="units whose variants to return"
    )


class SplitBody(BaseModel):
    """A dry run of a split. Nothing is recorded."""

    variants: dict[str, int] = Field(description="variant → units of the sample")
    held_out: int = Field(description="units of the sample that the holdout keeps out")
    outside: int = Field(description="units outside of the segment, the traffic or the enabled variants")
    sample_ratio_p: float | None = Field(description="p-value of the sizes against the weights")
    units: dict[str, str | None] = Field(description="unit of the request → its variant; null for none")


class ChangeBody(BaseModel):
    """A line of the log of an experiment."""

    version: int
    revision: int
    change: str
    actor: str = Field(description="identifies the key of the caller, or `monitor`")
    details: dict[str, Any]
    at: datetime
