"""The runtime API of Amazon Personalize: GetRecommendations and GetPersonalizedRanking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.api.metadata import Metadata
from services.recommender.api.selection import Promotion, RecommendationQuery
from services.recommender.domain.recipes import USER
from shared.aws import WireModel, invalid_input
from shared.aws.personalize.runtime import (
    GetPersonalizedRankingRequest,
    GetPersonalizedRankingResponse,
    GetRecommendationsRequest,
    GetRecommendationsResponse,
    PredictedItem,
)
from shared.aws_server import Call, Operation, RestJson
from shared.aws_server.operations import declined

if TYPE_CHECKING:
    from services.recommender.api.explorer import Explorer
    from services.recommender.api.filtering import ItemFilters
    from services.recommender.api.selection import Selection
    from services.recommender.api.targets import Target, Targets
    from services.recommender.domain.placing import Pick
    from services.recommender.store.states import Catalogues
    from shared.auth import Authenticator
    from shared.aws.personalize.runtime import Promotion as Asked


class Runtime:
    """The operations, as handlers of the wire kit."""

    def __init__(
        self,
        targets: Targets,
        selection: Selection,
        item_filters: ItemFilters,
        catalogues: Catalogues,
        explorer: Explorer,
        authenticator: Authenticator,
    ) -> None:
        self._targets = targets
        self._selection = selection
        self._item_filters = item_filters
        self._catalogues = catalogues
        self._explorer = explorer
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

    async def get_recommendations(
        self, call: Call, request: GetRecommendationsRequest
    ) -> GetRecommendationsResponse:
        """Score the model of a campaign or recommender now; scores are shown where Personalize shows them."""
        if request.campaign_arn is None:
            target = await self._targets.recommender(call.principal, request.recommender_arn or "")
        else:
            target = await self._targets.find(call.principal, request.campaign_arn)
        if target.only_ranks:
            raise invalid_input("The recipe of this campaign ranks given items: use GetPersonalizedRanking.")
        target.check_context(request.context)
        metadata = self._metadata(target, request)
        query = RecommendationQuery(
            request.user_id,
            request.item_id,
            request.wanted,
            await self._item_filters.of(target.tenant, request.filter_arn, request.filter_values),
            await self._promotion(target, request.promotions),
            request.context or {},
        )
        picks, _ = await self._selection.recommend(target, query)
        recommendation_id = target.new_id()
        await self._explorer.remember(target, recommendation_id, [pick.item for pick in picks])
        return GetRecommendationsResponse(
            item_list=_items(picks, metadata, scored=_shows_scores(target)),
            recommendation_id=recommendation_id,
        )

    async def get_personalized_ranking(
        self, call: Call, request: GetPersonalizedRankingRequest
    ) -> GetPersonalizedRankingResponse:
        """Put the given items into this user's order."""
        target = await self._targets.find(call.principal, request.campaign_arn)
        if target.asks_for != "user":
            raise invalid_input("The recipe of this campaign does not rank for a user.")
        target.check_context(request.context)
        metadata = self._metadata(target, request)
        bound_filter = await self._item_filters.of(target.tenant, request.filter_arn, request.filter_values)
        picks = await self._selection.rank(
            target, request.user_id, request.input_list, bound_filter, request.context or {}
        )
        return GetPersonalizedRankingResponse(
            personalized_ranking=_items(picks, metadata, scored=True), recommendation_id=target.new_id()
        )

    async def _promotion(self, target: Target, asked: tuple[Asked, ...] | None) -> Promotion | None:
        if not asked:
            return None
        (one,) = asked
        if one.percent_promoted_items is None:
            raise invalid_input("A promotion needs percentPromotedItems, from 1 to 100.")
        bound_filter = await self._item_filters.of(target.tenant, one.filter_arn, one.filter_values)
        return Promotion(one.name, one.percent_promoted_items, bound_filter)

    def _metadata(
        self, target: Target, request: GetRecommendationsRequest | GetPersonalizedRankingRequest
    ) -> Metadata | None:
        names = (request.metadata_columns or {}).get("ITEMS", ())
        return Metadata.of(target, names, self._catalogues.of(target.tenant)) if names else None


def _shows_scores(target: Target) -> bool:
    if target.model is not None:
        return target.model.scoring.scored
    return target.recipe == USER


def _items(picks: list[Pick], metadata: Metadata | None, *, scored: bool) -> tuple[PredictedItem, ...]:
    return tuple(
        PredictedItem(
            item_id=pick.item,
            score=pick.score if scored else None,
            promotion_name=pick.promotion,
            metadata=metadata.about(pick.item) if metadata else None,
            reason=pick.reason,
        )
        for pick in picks
    )
