"""Candidates that the model of a campaign scores now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.candidates import Proposal, Signal
from services.recommender.serving.placements.strategies.parts import candidates_of
from services.recommender.serving.query import RequestContext
from services.recommender.serving.recommendation import MODEL
from services.recommender.serving.targets import Target
from services.recommender.store.profiles import Profile

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.domain.deployed_campaign import DeployedCampaign
    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.strategies.parts import StrategyParts

_SIGNAL = Signal("model")


async def live_proposal(
    parts: StrategyParts,
    strategy: str,
    deployed: DeployedCampaign,
    request: PlacementRequest,
    visitor: Visitor,
    count: int,
) -> Proposal:
    """Return the items that a campaign's model scores best for the visitor, or for the requested item."""
    model = deployed.model
    if model is None:
        return Proposal()
    if model.scoring.kind == "item":
        if request.item_id is None:
            return Proposal()
        scores = related_scores(deployed, request.item_id, count)
        return live(parts, strategy, deployed, request.tenant, scores, count)
    # Purchases are excluded with their reason by the engine, so they are not left out here.
    profile = Profile(visitor.profile.history)
    context = RequestContext(
        request.tenant, request.user_id, request.item_id, profile, model_user_id=visitor.model_user_id
    )
    target = Target(request.tenant, deployed.traits.list_recipe, deployed)
    scored = await parts.recommender.score(target, context, count) or []
    items = [(each.item_id, each.score) for each in scored]
    return live(parts, strategy, deployed, request.tenant, items, count)


def live(
    parts: StrategyParts,
    strategy: str,
    deployed: DeployedCampaign,
    tenant: str,
    scores: ItemScores,
    count: int,
    signal: Signal = _SIGNAL,
) -> Proposal:
    """Return scores of a campaign's model as a proposal."""
    candidates: list[Candidate] = candidates_of(
        scores,
        parts.catalogues.of(tenant),
        count,
        strategy=strategy,
        algorithm=deployed.campaign.recipe.rpartition("/")[2],
        signal=signal,
    )
    if not candidates:
        return Proposal()
    return Proposal(candidates, MODEL, model_sha256=deployed.campaign.model_sha256)


def related_scores(deployed: DeployedCampaign, item_id: str, count: int) -> ItemScores:
    """Return the items related to an item, best first; none that are merely popular."""
    model = deployed.configured_model
    if model is None or item_id not in model.items.numbers:
        return []
    scores = model.recommend(item_id=item_id, limit=count, relevance=True)
    return [(related, score) for related, score in scores if score]
