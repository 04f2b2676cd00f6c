"""The bodies of the answers about metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class Rate(BaseModel):
    """A proportion with its 95 % interval (Wilson); all three are null without observations."""

    value: float | None
    low: float | None
    high: float | None


class Figures(BaseModel):
    """Figures of what was shown and what followed.

    Purchases, units and revenue are counted at the time of the purchase, all other figures at the time of the
    answer, so that each rate is a share of the same answers.
    """

    answers: int = Field(description="answers; by strategy, those with an item of the strategy")
    empty_answers: int = Field(description="answers without items; 0 by strategy")
    fallback_answers: int = Field(description="answers that popular items stood in for")
    items: int = Field(description="items in answers")
    seen_answers: int = Field(description="answers of which at least one item was seen")
    impressions: int = Field(description="items of answers that were seen; a clicked item counts as seen")
    clicked_answers: int = Field(description="answers of which at least one item was clicked")
    clicks: int = Field(description="items of answers that were clicked, each once per answer")
    conversions: int = Field(description="items of answers that a purchase is attributed to, each once")
    purchases: int = Field(description="purchased lines that are attributed")
    units: float = Field(description="the sum of their quantities")
    revenue: float = Field(
        description="the sum of quantity × price, or of the events' values without a price"
    )
    click_through: Rate = Field(description="clicks per impression")
    answer_click_through: Rate = Field(description="clicked answers per answer")
    conversion: Rate = Field(description="conversions per click")
    fallback_share: Rate = Field(description="fallback answers per answer")


class FiguresAt(Figures):
    """The figures of one interval."""

    at: datetime = Field(description="beginning of the interval, UTC")


class Group(BaseModel):
    """The figures of a group; members that `by` does not name are null."""

    surface: str | None = Field(description="placement, rest, runtime or graphql")
    placement: str | None = Field(description="null for answers of other surfaces")
    strategy: str | None
    experiment: str | None
    experiment_version: int | None
    variant: str | None = Field(description="null for answers outside of experiments")
    total: Figures
    points: list[FiguresAt] = Field(description="intervals with figures, in the order of time")


class AttributionRule(BaseModel):
    """The rule by which purchases are attributed."""

    window_days: float
    touch: Literal["last", "first"]


class PlacementMetrics(BaseModel):
    """Figures by group and interval. `total` is of all groups; an answer counts once in it."""

    begin: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to", description="not included")
    interval: Literal["hour", "day"]
    by: list[str]
    attribution: AttributionRule
    total: Figures
    groups: list[Group] = Field(description="groups with figures, the one with the most answers first")


class Coverage(BaseModel):
    """Visitors and items with an answer on one day, UTC. A visitor is a user, or a session before login."""

    day: datetime
    visitors: int = Field(description="visitors with an event or an answer")
    answered_visitors: int
    visitors_share: Rate
    answered_items: int = Field(description="different items in answers")
    items: int | None = Field(description="items in the catalogue now; null if they are not counted yet")
    items_share: float | None


class Freshness(BaseModel):
    """The newest of each kind that was counted; null if there was none."""

    newest_event_at: datetime | None
    newest_purchase_at: datetime | None
    newest_answer_at: datetime | None
    newest_history_at: datetime | None = Field(description="the newest event that an answer was scored with")
    generation: int | None = Field(description="the newest generation that answered")


class Activity(BaseModel):
    """Events and sales of the shop, and the share of recommendations in them."""

    events: int
    orders: int
    purchases: int = Field(description="purchased lines of all orders")
    units: float
    revenue: float = Field(description="the revenue of all purchases")
    answers: int
    fallback_answers: int
    impressions: int
    clicks: int
    conversions: int
    attributed_purchases: int
    attributed_units: float
    attributed_revenue: float
    attributed_share: float | None = Field(description="attributed revenue per revenue; null without revenue")
    click_through: Rate
    conversion: Rate
    fallback_share: Rate


class ActivityAt(Activity):
    """The activity of one interval."""

    at: datetime = Field(description="beginning of the interval, UTC")


class Overview(BaseModel):
    """The shop as a whole."""

    begin: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to", description="not included")
    interval: Literal["hour", "day"]
    attribution: AttributionRule
    total: Activity
    events_by_type: dict[str, int] = Field(description="the most frequent type first")
    answers_by_source: dict[str, int] = Field(
        description="redis, postgres, popular (the fallback), model …; the most frequent first"
    )
    points: list[ActivityAt] = Field(description="every interval, in the order of time")
    coverage: list[Coverage] = Field(description="days of the range with visitors, in the order of time")
    freshness: Freshness
