"""Metrics of experiments: what the events of a unit amount to."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.events import canonical_type
from shared.events.values import Name
from shared.experiments import Slug

Measure = Literal["conversion", "events", "value", "orders"]
"""An amount of the events of a type for a unit: 1 with any of them, their number, the sum of their values,
or the number of different orders (an event without an order id is an order of its own)."""

Quantile = Annotated[float, Field(ge=0.5, lt=1)]
MAX_METRICS: Final = 20


class Amount(BaseModel):
    """An amount per unit: a measure of its events of a type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Name = Field(description="type of the events, such as purchase; any spelling that intake knows")
    measure: Measure = "events"

    @field_validator("event")
    @classmethod
    def _canonical(cls, event: str) -> str:
        return canonical_type(event)


class Metric(Amount):
    """A metric of an experiment: an amount per unit, or the ratio of two amounts.

    A ratio has `per`: it is the sum of the amounts of all units over the sum of those of `per`.
    """

    name: Slug
    measure: Measure = "conversion"
    per: Amount | None = None
    higher_is_better: bool = True
    winsorize: Quantile | None = Field(
        None, description="amounts are cut at this quantile of the amounts above 0 of all variants"
    )
    from_days: float | None = Field(
        None, gt=0, le=90, description="only events later than this after the first exposure count: retention"
    )
    window_days: float | None = Field(
        None, gt=0, le=90, description="only events in this time after the first exposure count"
    )
    recommended_only: bool = Field(
        False, description="only events that name an answer of the surface or of a variant, by its id"
    )
    margin: float | None = Field(
        None,
        ge=0,
        le=1,
        description="makes the metric a guardrail: the share by which a variant may be worse. A variant that "
        "is shown to be worse by more pauses the experiment",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.from_days is not None and self.window_days is not None and self.from_days >= self.window_days:
            message = f"metric {self.name}: from_days must be below window_days, else no event counts"
            raise ValueError(message)
        if self.winsorize is not None and (self.per is not None or self.measure == "conversion"):
            message = f"metric {self.name}: winsorize cuts amounts, so it needs no conversion and no ratio"
            raise ValueError(message)
        return self


DEFAULT_METRICS: Final = (
    Metric(name="purchase-conversion", event="purchase", margin=0.1),
    Metric(name="revenue", event="purchase", measure="value", winsorize=0.99),
    Metric(
        name="items-per-order",
        event="purchase",
        measure="events",
        per=Amount(event="purchase", measure="orders"),
    ),
    Metric(name="click-conversion", event="click"),
    Metric(name="cart-conversion", event="add_to_cart"),
)
"""The metrics of an experiment that names none; the first metric is the one that decides."""

INTERLEAVING_METRICS: Final = (
    Metric(name="clicks", event="click"),
    Metric(name="carts", event="add_to_cart"),
    Metric(name="purchases", event="purchase"),
    Metric(name="revenue", event="purchase", measure="value"),
)
"""The same for interleaved answers: an event is credited to the variant that picked the item."""
