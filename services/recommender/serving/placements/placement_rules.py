"""The rules of a placement with what they read of its tenant."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.recommender.domain.recipes import USER
from services.recommender.serving.placements.rules import RuleCompiler, RuleRun, RuleSources

if TYPE_CHECKING:
    from services.recommender.serving.filtering import ItemFilters
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.rules import ItemImpressions, ItemQuotas
    from services.recommender.store.campaigns import Campaigns
    from services.recommender.store.catalogues import Catalogues
    from shared.events.placements import Placement, Rules


class PlacementRules:
    """Begins the rules of requests; a placement without filters and rules costs nothing."""

    def __init__(
        self,
        catalogues: Catalogues,
        campaigns: Campaigns,
        item_filters: ItemFilters,
        quotas: ItemQuotas,
        impressions: ItemImpressions,
    ) -> None:
        self._catalogues = catalogues
        self._campaigns = campaigns
        self._item_filters = item_filters
        self._quotas = quotas
        self._impressions = impressions
        self._compiler = RuleCompiler()

    async def begin(
        self, placement: Placement, request: PlacementRequest, visitor: Visitor
    ) -> RuleRun | None:
        """Return the rules as they apply to a request; None if the placement has none."""
        if not placement.filters and not _has_rules(placement.rules):
            return None
        deployed = self._campaigns.newest(request.tenant, USER)
        sources = RuleSources(
            self._catalogues.of(request.tenant),
            self._item_filters,
            self._compiler,
            self._quotas,
            deployed.filterable_items if deployed else None,
            deployed.model if deployed else None,
            impressions=self._impressions,
        )
        if request.is_trial:
            seed = f"{request.user_id} {request.session_id} {request.item_id}"
            sources.rng = random.Random(seed)  # noqa: S311 - positions in a list, no secrets
        return await RuleRun.begin(placement, request, visitor, sources, datetime.now(UTC))

    def forget(self, tenant: str, placement: Placement) -> None:
        """Forget the compiled rules of a placement that was tried out."""
        self._compiler.forget(tenant, placement)


def _has_rules(rules: Rules) -> bool:
    return bool(
        rules.hide
        or rules.fatigue
        or rules.quotas
        or rules.boosts
        or rules.caps
        or rules.promotions
        or rules.pins
    )
