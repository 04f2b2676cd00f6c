"""Placements: what a shop recommends at one place of its pages, such as `home` or `cart`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.events.envelope import Event, Name, Text
from shared.events.values import CampaignName, Instant, RecipeName, ResourceName, Whole

PlacementName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""The name of a placement: part of the path by which it is requested."""

StrategyName = Literal[
    "for-you",
    "because-you-viewed",
    "similar",
    "bought-together",
    "buy-again",
    "recently-viewed",
    "trending",
    "new-arrivals",
    "popular",
    "campaign",
    "recipe",
    "fixed",
]

Area = Literal["category", "region", "everywhere"]

MAX_LIMIT = 100


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Dated(_Part):
    """A rule with a period; without one of the ends it has no bound there."""

    starts_at: Instant | None = None
    ends_at: Instant | None = None


class StrategyUse(_Part):
    """One strategy of a placement's chain: each adds items that the earlier ones did not name."""

    strategy: StrategyName
    limit: int | None = Field(
        None, ge=1, le=MAX_LIMIT, description="most items that it adds; without one, as many as are missing"
    )
    campaign: CampaignName | None = Field(None, description="of the strategy campaign: which one")
    recipe: RecipeName | None = Field(None, description="of the strategy recipe: whose lists")
    item_ids: tuple[Name, ...] = Field((), max_length=500, description="of the strategy fixed: its items")
    area: Area | None = Field(
        None,
        description="of the strategy popular: where; without one in the category, then the region, then "
        "everywhere",
    )


class FilterUse(_Part):
    """A filter of the tenant, with values for its parameters."""

    name: ResourceName
    values: dict[Name, Text] = {}


class Boost(_Dated):
    """Items whose score is multiplied: above 1 they rise, below 1 they sink."""

    where: Text = Field(
        min_length=1, max_length=2500, description="a filter expression: the items that it includes"
    )
    factor: float = Field(gt=0, le=100, allow_inf_nan=False)


class Pin(_Dated):
    """An item at a fixed position, counted from 1."""

    item_id: Name
    position: int = Field(ge=1, le=MAX_LIMIT)


class Hide(_Dated):
    """Items that are not shown: by id, or those that a filter expression includes."""

    item_ids: tuple[Name, ...] = Field((), max_length=1000)
    where: Text | None = Field(None, min_length=1, max_length=2500)


class PromotionUse(_Dated):
    """A share of the answer for items that a filter expression includes."""

    name: Name
    where: Text = Field(min_length=1, max_length=2500)
    percent: int = Field(ge=1, le=100)


class Cap(_Part):
    """The most items of one value of a column, such as BRAND or CATEGORY."""

    column: Name
    most: int = Field(ge=1, le=MAX_LIMIT)


class Fatigue(_Part):
    """Items that were shown to the visitor so often without a click are left out."""

    impressions: int = Field(ge=1, le=1000)
    days: int = Field(7, ge=1, le=30)


class Quota(_Part):
    """The most answers of a day (UTC) in which an item is shown at this placement."""

    per_day: int = Field(ge=1)
    item_ids: tuple[Name, ...] = Field((), max_length=1000, description="without any, every item")


class Rules(_Part):
    """The rules that select, order and add items; they apply in the order of these fields."""

    hide: tuple[Hide, ...] = Field((), max_length=50)
    fatigue: Fatigue | None = None
    quotas: tuple[Quota, ...] = Field((), max_length=50)
    boosts: tuple[Boost, ...] = Field((), max_length=50)
    caps: tuple[Cap, ...] = Field((), max_length=10)
    promotions: tuple[PromotionUse, ...] = Field((), max_length=5)
    pins: tuple[Pin, ...] = Field((), max_length=50)


class Exclusions(_Part):
    """The items that an answer leaves out because of the visitor."""

    purchased: bool = Field(True, description="items that the visitor purchased within the look-back")
    in_cart: bool = True
    viewed: bool = False


class Placement(_Part):
    """The definition of a placement."""

    strategies: tuple[StrategyUse, ...] = Field(min_length=1, max_length=10)
    filters: tuple[FilterUse, ...] = Field((), max_length=5)
    rules: Rules = Rules()
    exclude: Exclusions = Exclusions()
    limit: int = Field(10, ge=1, le=MAX_LIMIT, description="items of an answer, unless the request says")
    only_category: bool = Field(False, description="only items of the category that the request names")
    fill_up: bool = Field(
        True,
        description="fill a short answer up with what is popular in the category, the region, everywhere",
    )


def strategy_problems(placement: Placement) -> Iterator[str]:
    """Yield a sentence for each strategy of a definition that lacks an argument, or has that of another."""
    for index, use in enumerate(placement.strategies):
        where = f"strategies[{index}]"
        for strategy, member in _ARGUMENTS.items():
            if use.strategy == strategy and not getattr(use, member):
                yield f"{where}: the strategy {strategy} needs {member}"
            elif use.strategy != strategy and getattr(use, member):
                yield f"{where}: {member} belongs to the strategy {strategy}, not to {use.strategy}"
        if use.area is not None and use.strategy != "popular":
            yield f"{where}: area belongs to the strategy popular, not to {use.strategy}"
    repeated = Counter(map(_identity, placement.strategies)).most_common(1)
    if repeated and repeated[0][1] > 1:
        yield f"strategies: {repeated[0][0][0]} occurs twice"


_ARGUMENTS = {"campaign": "campaign", "recipe": "recipe", "fixed": "item_ids"}
"""The strategies that need a member, and which."""


def _identity(use: StrategyUse) -> tuple[object, ...]:
    return (use.strategy, use.campaign, use.recipe, use.item_ids, use.area)


class PlacementChanged(Event):
    """The state of a placement; a tombstone deletes it."""

    name: PlacementName
    revision: Whole = Field(description="grows with every change of this placement")
    placement: Placement

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:name`."""
        return f"{self.tenant}:{self.name}"


def _chain(*names: StrategyName) -> tuple[StrategyUse, ...]:
    return tuple(StrategyUse(strategy=name) for name in names)


DEFAULT_PLACEMENTS: dict[str, Placement] = {
    "home": Placement(strategies=_chain("for-you")),
    "product": Placement(strategies=_chain("similar", "bought-together")),
    "cart": Placement(strategies=_chain("bought-together", "similar")),
    "category": Placement(strategies=(StrategyUse(strategy="popular", area="category"),), only_category=True),
    "search": Placement(strategies=_chain("because-you-viewed", "trending")),
    "order-confirmation": Placement(strategies=_chain("bought-together", "for-you")),
    "email": Placement(
        strategies=(
            StrategyUse(strategy="because-you-viewed", limit=3),
            StrategyUse(strategy="for-you"),
        )
    ),
}
"""Placements that every tenant has until it defines one of the same name."""
