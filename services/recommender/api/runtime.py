"""The runtime API of Amazon Personalize: GetRecommendations and GetPersonalizedRanking."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from services.recommender.domain.recipes import USER
from shared.personalize import Call, Operation, RestJson, WireModel, invalid_input, not_found
from shared.personalize.protocols import declined
from shared.personalize.runtime import GetPersonalizedRankingRequest, GetRecommendationsRequest

if TYPE_CHECKING:
    from services.recommender.api.live import Live, Target
    from services.recommender.domain.catalogue import Listed
    from shared.auth import Authenticator


class Runtime:
    """The operations, as handlers of the wire kit."""

    def __init__(self, live: Live, authenticator: Authenticator) -> None:
        self._live = live
        self.routes = RestJson(
            authenticator,
            {
                "/recommendations": Operation(
                    "GetRecommendations", GetRecommendationsRequest, "read", self.get_recommendations
                ),
                "/personalize-ranking": Operation(
                    "GetPersonalizedRanking",
                    GetPersonalizedRankingRequest,
                    "read",
                    self.get_personalized_ranking,
                ),
                "/action-recommendations": declined("GetActionRecommendations", WireModel),
            },
        )

    async def get_recommendations(self, call: Call, request: GetRecommendationsRequest) -> dict[str, Any]:
        """Score a campaign's model now; scores are shown where Personalize shows them."""
        if request.campaign_arn is None:
            raise not_found(f"There is no recommender {request.recommender_arn} here; use a campaign.")
        _decline_filters(request)
        if request.promotions:
            raise invalid_input("Promotions need a filter, and there are no filters here yet.")
        target = await self._live.target(call.principal, request.campaign_arn)
        if target.only_ranks:
            raise invalid_input("The recipe of this campaign ranks given items: use GetPersonalizedRanking.")
        listed, _ = await self._live.recommend(target, request.user_id, request.item_id, request.wanted)
        return {
            "itemList": _items(listed, scored=_shows_scores(target)),
            "recommendationId": f"RID-{uuid.uuid4()}",
        }

    async def get_personalized_ranking(
        self, call: Call, request: GetPersonalizedRankingRequest
    ) -> dict[str, Any]:
        """Put the given items into this user's order."""
        _decline_filters(request)
        target = await self._live.target(call.principal, request.campaign_arn)
        if target.asks_for != "user":
            raise invalid_input("The recipe of this campaign does not rank for a user.")
        ranked = await self._live.rank(target, request.user_id, request.input_list)
        return {
            "personalizedRanking": _items(ranked, scored=True),
            "recommendationId": f"RID-{uuid.uuid4()}",
        }


def _decline_filters(request: GetRecommendationsRequest | GetPersonalizedRankingRequest) -> None:
    if request.filter_arn is not None:
        raise not_found(f"There is no filter {request.filter_arn} here.")
    if request.metadata_columns:
        raise invalid_input("This campaign was not created with metadata in recommendations enabled.")


def _shows_scores(target: Target) -> bool:
    if target.model is not None:
        return target.model.scoring.scored
    return target.recipe == USER


def _items(listed: Listed, *, scored: bool) -> list[dict[str, Any]]:
    return [
        {"itemId": item, "score": score} if scored and score is not None else {"itemId": item}
        for item, score in listed
    ]
