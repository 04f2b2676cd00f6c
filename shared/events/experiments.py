"""Experiments: the version that runs, and which unit was served by which variant."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.events.envelope import Document, Event, Name, Text
from shared.events.placements import FilterUse, Placement
from shared.events.values import LARGEST_INT4, LARGEST_INT8, Finite, Instant


class VariantState(BaseModel):
    """A variant of an experiment; `strategy` is a recipe, a campaign's ARN, or None for the usual answer.

    Variants of a placement may have a definition of their own, a strategy of placements, or one more filter.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    name: Name
    weight: Finite
    strategy: Text | None = None
    placement: Placement | None = None
    filter: FilterUse | None = None


class LayerState(BaseModel):
    """The segment of a layer whose units take part, from `start` up to and without `end`."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    name: Name
    start: Finite
    end: Finite


class ExperimentChanged(Event):
    """The newest version of an experiment that was started; a version that never ran is not published.

    A version begins once and ends once, so of two states of an experiment the later one has the higher
    version, or the same version and `stopped_at`, or the same of both and the higher revision.
    `forced` are units for tests with their variants, `disabled` variants whose units are answered as usual.
    `design` says how requests get to the variants, such as `{"kind": "interleaving"}`; None for a split.
    `trigger_share` is the share of the units whose answers are compared with those of the other variants.
    """

    name: Name
    experiment_version: int = Field(ge=1, le=LARGEST_INT4)
    surface: Text
    variants: tuple[VariantState, ...]
    traffic: Finite
    salt: Text
    status: Text
    created_at: Instant
    started_at: Instant
    stopped_at: Instant | None = None
    layer: LayerState | None = None
    unit: Text = "user_else_session"
    design: Document | None = None
    trigger_share: Finite | None = None
    forced: dict[Name, Name] = Field(default_factory=dict)
    disabled: tuple[Name, ...] = ()
    revision: int = Field(1, ge=1, le=LARGEST_INT4)

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:name`."""
        return f"{self.tenant}:{self.name}"


class VariantExposed(Event):
    """A unit (a user, else a session) was served by a variant; assigned and exposed are one step.

    `event_id` derives from experiment version, unit and UTC day, so a unit counts once a day. `propensity` is
    the probability with which the unit got the variant. The variant of an answer that has items of all
    variants is `interleaved`; its serving names the variant of each item. In a switchback a unit counts once
    in each `window` of time, numbered from 1970.

    With `differs` it marks that the answers of the variants to this request have other items, or another
    order; it comes beside the exposure of the day, under an id of its own.

    `milliseconds` is the time that the answer took; `fallback` says that popular items stood in for those of
    the variant's strategy; `device` is mobile, tablet or desktop, if the request says so.
    """

    experiment: Name
    experiment_version: int = Field(ge=1, le=LARGEST_INT4)
    variant: Name
    unit: Name
    surface: Text
    propensity: Finite | None = None
    window: int | None = Field(None, ge=0, le=LARGEST_INT8)
    recommendation_id: Name | None = None
    item_ids: tuple[Name, ...] = ()
    differs: bool = False
    milliseconds: Finite | None = None
    fallback: bool | None = None
    device: Name | None = None

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:unit`."""
        return f"{self.tenant}:{self.unit}"
