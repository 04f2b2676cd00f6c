"""Exploration: which young items of a campaign get a bonus on their score, and how much.

See docs/decisions/0032-score-adjustments.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from shared.aws.personalize.exploration import Exploration
from shared.filters.syntax import key_of
from shared.models.exploration import Bonus, eligible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.domain.filterable_items import FilterableItems
    from services.recommender.serving.targets import Target
    from services.recommender.store.impression_counts import ImpressionCounts
    from shared.models import Model

BONUS_SECONDS = 2.0
"""Time that a bonus is used before it is computed again."""
ITEMS_PER_SECOND = 10_000
"""The bonus of more young items is computed less often: each costs a reply of Redis."""
_CREATED = "CREATION_TIMESTAMP"


@dataclass(frozen=True, slots=True)
class _CachedBonus:
    config: object
    expires_at: float
    bonus: Bonus | None


class Explorer:
    """Computes the bonuses of campaigns that are requested, and caches them."""

    def __init__(self, impression_counts: ImpressionCounts) -> None:
        self._impression_counts = impression_counts
        # A deployed model has FilterableItems of its own; what is cached for it goes with them.
        self._cache: WeakKeyDictionary[FilterableItems, _CachedBonus] = WeakKeyDictionary()
        self._rng = np.random.default_rng()

    async def bonus(self, target: Target) -> Bonus | None:
        """Return the bonus of a campaign's young items; None if its recipe does not explore."""
        deployed, model = target.deployed, target.model
        if deployed is None or model is None or deployed.filterable_items is None:
            return None
        campaign = deployed.campaign
        if not deployed.traits.explores:
            return None
        now, items = time.monotonic(), deployed.filterable_items
        cached = self._cache.get(items)
        if cached is not None and cached.config is campaign.config:
            if now < cached.expires_at:
                return cached.bonus
            # Concurrent requests use the old bonus, instead of reading the same counts.
            self._cache[items] = replace(cached, expires_at=now + BONUS_SECONDS)
        bonus = await self._compute(target.tenant, model, items, _exploration(campaign.config), now)
        count = 0 if bonus is None else len(bonus.numbers)
        expires_at = now + max(BONUS_SECONDS, count / ITEMS_PER_SECOND)
        self._cache[items] = _CachedBonus(campaign.config, expires_at, bonus)
        return bonus

    async def remember(self, target: Target, recommendation_id: str, item_ids: Sequence[str]) -> None:
        """Store which young items an answer holds: an event that names the answer implies they were shown."""
        items = target.deployed.filterable_items if target.deployed else None
        cached = self._cache.get(items) if items else None
        if items is None or cached is None or cached.bonus is None:
            return
        rows = ((item_id, items.rows.get(item_id)) for item_id in item_ids)
        young = [item_id for item_id, row in rows if row is not None and cached.bonus.covers(row)]
        if young:
            await self._impression_counts.remember(target.tenant, recommendation_id, young)

    async def _compute(
        self, tenant: str, model: Model, items: FilterableItems, config: Exploration, now: float
    ) -> Bonus | None:
        if config.weight == 0:
            return None
        created = items.table([_CREATED], now).column(key_of(_CREATED))
        young = eligible(model, None if created is None else created.numbers, config)
        if len(young) == 0:
            return None
        item_ids = [items.ids[row] for row in young.tolist()]
        impressions = await self._impression_counts.of_items(tenant, item_ids)
        exposures = model.popularity[young].astype(np.float64) + np.array(impressions, np.float64)
        return Bonus.of(young, exposures, config.weight, len(model.items), self._rng)


def _exploration(campaign_config: dict[str, object]) -> Exploration:
    """Return the itemExplorationConfig of a campaign; the defaults if it has none, or an invalid one."""
    config = campaign_config.get("itemExplorationConfig")
    try:
        return Exploration.of({k: str(v) for k, v in config.items()} if isinstance(config, dict) else None)
    except ValueError:
        return Exploration()
