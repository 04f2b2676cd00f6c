"""Which items of a campaign are lifted so that they get a chance, and by how much."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from shared.aws.personalize.exploration import Exploration
from shared.filters.syntax import key_of
from shared.models.exploration import EXPLORING, Bonus, eligible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.api.targets import Target
    from services.recommender.domain.filterable_items import FilterableItems
    from services.recommender.store.impression_counts import ImpressionCounts
    from shared.models import Model

LOOK_SECONDS = 2.0
ITEMS_PER_SECOND = 10_000
"""Of more items than a look can cover, counts are asked for less often: each is an answer of Redis."""
_CREATED = "CREATION_TIMESTAMP"


@dataclass(frozen=True, slots=True)
class _Kept:
    config: object
    until: float
    bonus: Bonus | None


class Explorer:
    """Works bonuses out anew every two seconds, for campaigns that are asked."""

    def __init__(self, impression_counts: ImpressionCounts) -> None:
        self._impression_counts = impression_counts
        # A deployed model has a filterable_items of its own, and what is kept of it goes with that.
        self._kept: WeakKeyDictionary[FilterableItems, _Kept] = WeakKeyDictionary()
        self._chance = np.random.default_rng()

    async def bonus(self, target: Target) -> Bonus | None:
        """The bonus of a campaign's young items; none where nothing is explored."""
        deployed, model = target.deployed, target.model
        if deployed is None or model is None or deployed.filterable_items is None:
            return None
        campaign = deployed.campaign
        if campaign.recipe not in EXPLORING:
            return None
        now, filterable_items = time.monotonic(), deployed.filterable_items
        kept = self._kept.get(filterable_items)
        if kept is not None and kept.config is campaign.config:
            if now < kept.until:
                return kept.bonus
            # Who asks meanwhile goes by the old counts, instead of asking for the same new ones.
            self._kept[filterable_items] = replace(kept, until=now + LOOK_SECONDS)
        bonus = await self._worked_out(target.tenant, model, filterable_items, _config(campaign.config), now)
        young = 0 if bonus is None else len(bonus.numbers)
        until = now + max(LOOK_SECONDS, young / ITEMS_PER_SECOND)
        self._kept[filterable_items] = _Kept(campaign.config, until, bonus)
        return bonus

    async def remember(self, target: Target, recommendation_id: str, item_ids: Sequence[str]) -> None:
        """Keep which young items an answer held, so that an event which names it says what was shown."""
        filterable_items = target.deployed.filterable_items if target.deployed else None
        kept = self._kept.get(filterable_items) if filterable_items else None
        if filterable_items is None or kept is None or kept.bonus is None:
            return
        numbers = ((item, filterable_items.rows.get(item)) for item in item_ids)
        young = [item for item, number in numbers if number is not None and kept.bonus.covers(number)]
        if young:
            await self._impression_counts.remember(target.tenant, recommendation_id, young)

    async def _worked_out(
        self, tenant: str, model: Model, filterable_items: FilterableItems, config: Exploration, now: float
    ) -> Bonus | None:
        if config.weight == 0:
            return None
        created = filterable_items.table([_CREATED], now).column(key_of(_CREATED))
        young = eligible(model, None if created is None else created.numbers, config)
        if len(young) == 0:
            return None
        impressions = await self._impression_counts.of_items(
            tenant, [filterable_items.ids[number] for number in young.tolist()]
        )
        exposure_counts = model.popularity[young].astype(np.float64) + np.array(impressions, np.float64)
        return Bonus.of(young, exposure_counts, config.weight, len(model.items), self._chance)


def _config(config: dict[str, object]) -> Exploration:
    given = config.get("itemExplorationConfig")
    try:
        return Exploration.of({k: str(v) for k, v in given.items()} if isinstance(given, dict) else None)
    except ValueError:
        return Exploration()
