"""for-you: the visitor's list, or live scores of the newest events, or what is popular for a new visitor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from services.recommender.domain.recipes import USER
from services.recommender.serving.overrides import ALGORITHM, merge
from services.recommender.serving.placements.candidates import Candidate, Signal
from services.recommender.serving.placements.strategies.live import live_proposal
from services.recommender.serving.placements.strategies.parts import NOTHING, candidates_of, proposal_of
from services.recommender.serving.placements.strategies.reasons import add_reasons
from services.recommender.serving.recommendation import MODEL
from services.recommender.store.lists import POSTGRES, REDIS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.domain.deployed_campaign import DeployedCampaign
    from services.recommender.domain.override import Override
    from services.recommender.serving.placements.candidates import Proposal
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts
    from services.recommender.serving.placements.strategies.popular import Popular
    from services.recommender.store.list_batches import ListKey
    from shared.events.placements import StrategyUse

OVERRIDES = b"overrides"
"""The source of an answer that has nothing but overrides."""

_SCORED = frozenset({REDIS, POSTGRES, MODEL})
"""The sources of items that a model scored for the visitor."""

LIST_SIGNAL = Signal("list", detail=USER)
_OVERRIDE = Signal("override")


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
        """Return items for the visitor, best first, with the overrides of the user."""
        proposal = await self._propose(request, visitor, count)
        if request.explain and proposal.source in _SCORED:
            add_reasons(proposal, self._parts.campaigns.newest(request.tenant, USER), visitor)
        if request.user_id is None or not self._parts.overrides.has_any(request.tenant):
            return proposal
        overrides = await self._parts.overrides.of_user(request.tenant, request.user_id)
        if not overrides:
            return proposal
        return self._with_overrides(proposal, overrides, request.tenant, count)

    async def _propose(self, request: PlacementRequest, visitor: Visitor, count: int) -> Proposal:
        deployed = self._parts.campaigns.newest(request.tenant, USER)
        stored = visitor.lists.get((USER, request.user_id or "")) if visitor.model_user_id else None
        has_list = stored is not None and bool(stored.items)
        if deployed is not None and is_scored_live(visitor, deployed, has_list=has_list):
            live = await live_proposal(self._parts, self.name, deployed, request, visitor, count)
            if live.candidates:
                return live
        if stored is not None and has_list:
            catalogue = self._parts.catalogues.of(request.tenant)
            return proposal_of(
                stored,
                candidates_of(
                    stored.items, catalogue, count, strategy=self.name, algorithm=USER, signal=LIST_SIGNAL
                ),
            )
        return await self._popular.chain(self.name, request, visitor, count)

    def _with_overrides(
        self, proposal: Proposal, overrides: Sequence[Override], tenant: str, count: int
    ) -> Proposal:
        """Return a list with the overrides where their scores belong; elsewhere they come first.

        Scores of a model and shares of popular items have another scale than those of overrides.
        """
        by_id = {candidate.item_id: candidate for candidate in proposal.candidates}
        scores = [(candidate.item_id, candidate.score) for candidate in proposal.candidates]
        is_list = proposal.source in {REDIS, POSTGRES}
        merged = merge(scores if is_list else [], overrides)
        overridden = {override.item_id for override in overrides}
        if not is_list:
            merged += [(item_id, score) for item_id, score in scores if item_id not in overridden]
        is_withdrawn = self._parts.catalogues.of(tenant).is_withdrawn
        candidates = [
            Candidate(item_id, self.name, score, [_OVERRIDE], ALGORITHM)
            if item_id in overridden
            else by_id[item_id]
            for item_id, score in merged
            if not is_withdrawn(item_id)
        ]
        return replace(proposal, candidates=candidates[:count], source=proposal.source or OVERRIDES)


def is_scored_live(visitor: Visitor, deployed: DeployedCampaign, *, has_list: bool) -> bool:
    """Return whether the model knows the visitor better than the list does."""
    newest, model = visitor.profile.newest_seconds, deployed.model
    if model is None:
        return False
    if has_list:
        return newest is not None and newest > model.newest_event_time
    return newest is not None or model.users.find(visitor.model_user_id or "") is not None
