"""The rules of a placement with what they read of its tenant."""

from __future__ import annotations

import random
from dataclasses import replace
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

MAX_TENANTS = 1_000
"""Tenants whose sources of rules are kept. Arbitrary."""


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
        self._sources: dict[str, RuleSources] = {}

    async def begin(
        self, placement: Placement, request: PlacementRequest, visitor: Visitor
    ) -> RuleRun | None:
        """Return the rules as they apply to a request; None if the placement has none."""
        if not self.apply_to(placement):
            return None
        sources = self.sources_of(request.tenant)
        if request.is_trial:
            seed = f"{request.user_id} {request.session_id} {request.item_id}"
            sources = replace(sources, rng=random.Random(seed))  # noqa: S311 - positions in a list, no secrets
        return await RuleRun.begin(placement, request, visitor, sources, datetime.now(UTC))

    def forget(self, tenant: str, placement: Placement) -> None:
        """Forget the compiled rules of a placement that was tried out."""
        self._compiler.forget(tenant, placement)

    @staticmethod
    def apply_to(placement: Placement) -> bool:
        """Return whether a placement has filters or rules."""
        return bool(placement.filters) or _has_rules(placement.rules)

    def sources_of(self, tenant: str) -> RuleSources:
        """Return the sources of a tenant's rules; they are kept until its campaign or model changes."""
        deployed = self._campaigns.newest(tenant, USER)
        items, model = (deployed.filterable_items, deployed.model) if deployed else (None, None)
        sources = self._sources.get(tenant)
        if sources is None or sources.trained_items is not items or sources.model is not model:
            if len(self._sources) >= MAX_TENANTS:
                self._sources.clear()
            sources = self._sources[tenant] = RuleSources(
                self._catalogues.of(tenant),
                self._item_filters,
                self._compiler,
                self._quotas,
                items,
                model,
                impressions=self._impressions,
            )
        return sources


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
