"""for-you: the visitor's list, or live scores of the newest events, or what is popular for a new visitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from services.recommender.domain.recipes import USER
from services.recommender.serving.placements.candidates import Signal
from services.recommender.serving.placements.strategies.live import live_proposal
from services.recommender.serving.placements.strategies.parts import NOTHING, candidates_of, proposal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.domain.deployed_campaign import DeployedCampaign
    from services.recommender.serving.placements.candidates import Proposal
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts
    from services.recommender.serving.placements.strategies.popular import Popular
    from services.recommender.store.list_batches import ListKey
    from shared.events.placements import StrategyUse

_SIGNAL = Signal("list", detail=USER)


class ForYou:
    """Items for the visitor.

    A list is as good as live scores until the visitor has an event that the model was not trained on. A
    visitor with a session only has no list. A visitor without events gets popular items.
    """

    name: ClassVar[str] = "for-you"
    repeats: ClassVar[frozenset[str]] = NOTHING

    def __init__(self, parts: StrategyParts, popular: Popular) -> None:
        self._parts = parts
        self._popular = popular

    def list_keys(self, use: StrategyUse, request: PlacementRequest) -> Sequence[ListKey]:
        """Return the user's list."""
        return [(USER, request.user_id)] if request.user_id is not None else ()

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return items for the visitor, best first."""
        deployed = self._parts.campaigns.newest(request.tenant, USER)
        stored = visitor.lists.get((USER, request.user_id or "")) if visitor.model_user_id else None
        has_list = stored is not None and bool(stored.items)
        if deployed is not None and _is_scored_live(visitor, deployed, has_list=has_list):
            live = await live_proposal(self._parts, self.name, deployed, request, visitor, count)
            if live.candidates:
                return live
        if stored is not None and has_list:
            catalogue = self._parts.catalogues.of(request.tenant)
            return proposal_of(
                stored,
                candidates_of(
                    stored.items, catalogue, count, strategy=self.name, algorithm=USER, signal=_SIGNAL
                ),
            )
        return await self._popular.chain(self.name, request, visitor, count)


def _is_scored_live(visitor: Visitor, deployed: DeployedCampaign, *, has_list: bool) -> bool:
    """Return whether the model knows the visitor better than the list does."""
    newest, model = visitor.profile.newest_seconds, deployed.model
    if model is None:
        return False
    if has_list:
        return newest is not None and newest > model.newest_event_time
    return newest is not None or model.users.find(visitor.model_user_id or "") is not None
