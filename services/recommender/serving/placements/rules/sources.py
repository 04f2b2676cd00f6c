"""The sources of rules: items, filters, and counts of exposures."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from services.recommender.domain.properties import property_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.filterable_items import FilterableItems
    from services.recommender.domain.properties import PropertyValue
    from services.recommender.serving.filtering import ItemFilters
    from services.recommender.serving.placements.rules.compiled import RuleCompiler
    from shared.models import Model

_RNG = random.Random()  # noqa: S311 - positions in a list, no secrets


class ItemImpressions(Protocol):
    """Impressions of visitors without a click."""

    async def of(self, tenant: str, subjects: Collection[str], days: int, now: datetime) -> dict[str, int]:
        """Return the impressions by item of the last `days` days, of all subjects together."""


class ItemQuotas(Protocol):
    """Counts of the answers of a day, by item, of every process that serves placements."""

    async def of(self, tenant: str, placement: str, now: datetime) -> Mapping[str, int]:
        """Return the answers of the day (UTC) by item; it does I/O for a placement that is new to it."""

    def count(self, tenant: str, placement: str, item_ids: Iterable[str], now: datetime) -> None:
        """Count an answer that contains the items."""


@dataclass(slots=True)
class RuleSources:
    """The inputs of rules beside the placement, the request and the visitor.

    `trained_items` and `model` are those of the tenant's campaign, if it has one: an item of the training
    data may have columns that the shop never sent.
    """

    catalogue: Catalogue
    item_filters: ItemFilters
    compiler: RuleCompiler
    quotas: ItemQuotas
    trained_items: FilterableItems | None = None
    model: Model | None = None
    rng: random.Random = field(default=_RNG)
    impressions: ItemImpressions | None = None
    """Without it nobody tires of an item."""

    def cells(self, item_id: str, names: Sequence[str]) -> dict[str, PropertyValue]:
        """Return the values of some columns of an item, without missing ones."""
        if self.trained_items is not None:
            return self.trained_items.cells(item_id, names)
        properties = self.catalogue.properties(item_id)
        if not properties:
            return {}
        values = ((name, property_value(properties, "item", name)) for name in names)
        return {name: value for name, value in values if value is not None}
