"""Reasons of a model's recommendations: signals that name the visitor's own events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.candidates import Signal
from shared.events import canonical_type
from shared.models.contributions import Reason, reasons

if TYPE_CHECKING:
    from collections.abc import Collection

    from services.recommender.domain.deployed_campaign import DeployedCampaign
    from services.recommender.serving.placements.candidates import Proposal
    from services.recommender.serving.placements.request import Visitor

_PURCHASE = "purchase"


def add_reasons(proposal: Proposal, deployed: DeployedCampaign | None, visitor: Visitor) -> None:
    """Add signals with their shares of the score to candidates of a user's list or of live scores.

    Without a loaded model there are none. This takes milliseconds, so only an explained answer has them.
    """
    if deployed is None or deployed.configured_model is None:
        return
    history, purchased = visitor.profile.history, visitor.profile.purchased
    bought = purchased | {item_id for item_id, kind, _ in history if canonical_type(kind) == _PURCHASE}
    item_ids = [candidate.item_id for candidate in proposal.candidates]
    reasons_of = reasons(deployed.configured_model, visitor.model_user_id, history, item_ids)
    for candidate in proposal.candidates:
        candidate.signals += [
            _signal(reason, candidate.item_id, bought) for reason in reasons_of.get(candidate.item_id, ())
        ]


def _signal(reason: Reason, item_id: str, bought: Collection[str]) -> Signal:
    share = round(reason.share, 4)
    if reason.item_id is None:
        return Signal("popular_in", share)
    is_bought = _PURCHASE in reason.event_types or reason.item_id in bought
    if reason.item_id == item_id:
        return Signal("bought_before" if is_bought else "viewed", share)
    return Signal("bought_with" if is_bought else "viewed", share, reason.item_id)
