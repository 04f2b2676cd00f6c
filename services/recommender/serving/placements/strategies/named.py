"""campaign and recipe: a campaign scored live, and the lists of a recipe, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from services.recommender.domain.recipes import (
    AFFINITY,
    POPULARITY,
    SIMILAR,
    TOGETHER,
    USER,
    split_generation,
)
from services.recommender.serving.placements.candidates import Proposal, Signal
from services.recommender.serving.placements.strategies.live import live_proposal
from services.recommender.serving.placements.strategies.parts import NOTHING, candidates_of, proposal_of
from services.recommender.serving.placements.strategies.reasons import add_reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.domain.deployed_campaign import DeployedCampaign
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts
    from services.recommender.serving.placements.strategies.popular import Popular
    from services.recommender.store.list_batches import ListKey
    from shared.events.placements import StrategyUse


class RecipeLists:
    """The lists of a recipe: the user's, or that of the requested item."""

    name: ClassVar[str] = "recipe"
    repeats: ClassVar[frozenset[str]] = NOTHING

    def __init__(self, parts: StrategyParts, popular: Popular) -> None:
        self._parts = parts
        self._popular = popular

    def list_keys(self, use: StrategyUse, request: PlacementRequest) -> Sequence[ListKey]:
        """Return the lists that may exist: of the user, of the item, or of both."""
        return _keys(use.recipe, request)

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the items of the first list that exists."""
        return await self.lists(self.name, use.recipe, request, visitor, count)

    async def lists(
        self, strategy: str, recipe: str | None, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the items of the first list of a recipe that exists, as candidates of a strategy."""
        if recipe == POPULARITY:
            return await self._popular.chain(strategy, request, visitor, count)
        for key in _keys(recipe, request):
            stored = visitor.lists.get(key)
            if stored is not None and stored.items:
                candidates = candidates_of(
                    stored.items,
                    self._parts.catalogues.of(request.tenant),
                    count,
                    strategy=strategy,
                    algorithm=recipe,
                    signal=Signal("list", detail=recipe),
                )
                return proposal_of(stored, candidates)
        return Proposal()


class CampaignScores:
    """The model of a campaign; the lists of its recipe while it is not loaded."""

    name: ClassVar[str] = "campaign"
    repeats: ClassVar[frozenset[str]] = NOTHING

    def __init__(self, parts: StrategyParts, lists: RecipeLists) -> None:
        self._parts = parts
        self._lists = lists

    def list_keys(self, use: StrategyUse, request: PlacementRequest) -> Sequence[ListKey]:
        """Return the lists that answer while the model is not loaded."""
        deployed = self._deployed(use, request)
        if deployed is None or deployed.model is not None:
            return ()
        return _keys(deployed.traits.list_recipe, request)

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return the items that the model scores best; nothing without an active campaign of that name."""
        deployed = self._deployed(use, request)
        if deployed is None:
            return Proposal()
        if deployed.model is None:
            recipe = deployed.traits.list_recipe
            return await self._lists.lists(self.name, recipe, request, visitor, count)
        proposal = await live_proposal(self._parts, self.name, deployed, request, visitor, count)
        if request.explain:
            add_reasons(proposal, deployed, visitor)
        return proposal

    def _deployed(self, use: StrategyUse, request: PlacementRequest) -> DeployedCampaign | None:
        deployed = self._parts.campaigns.known(request.tenant, None, use.campaign or "")
        if deployed is None or deployed.campaign.status != "ACTIVE" or deployed.traits.ranks_only:
            return None
        return deployed


def _keys(recipe: str | None, request: PlacementRequest) -> list[ListKey]:
    """Return the possible lists of a recipe. The ids of users and items may coincide."""
    if recipe is None or recipe == POPULARITY:
        return []
    name, _ = split_generation(recipe)
    of_user = None if name in (SIMILAR, TOGETHER) else request.user_id
    of_item = None if name in (USER, AFFINITY) else request.item_id
    return [(recipe, list_id) for list_id in (of_user, of_item) if list_id is not None]
