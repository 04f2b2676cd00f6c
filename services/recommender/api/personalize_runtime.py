"""The runtime API of Amazon Personalize: GetRecommendations and GetPersonalizedRanking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.domain.recipes import USER
from services.recommender.serving.metadata import ItemMetadata
from services.recommender.serving.query import Promotion, RecommendationQuery
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
    from services.recommender.api.campaign_experiments import CampaignExperiments
    from services.recommender.serving.exploration import Explorer
    from services.recommender.serving.filtering import ItemFilters
    from services.recommender.serving.recommendation import Recommendation, Recommended, ServedVariant
    from services.recommender.serving.recommender import Recommender
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.serving.targets import Target, TargetResolver
    from services.recommender.store.catalogues import Catalogues
    from shared.auth import Authenticator
    from shared.aws.personalize.runtime import Promotion as PromotionMember


class PersonalizeRuntime:
    """The operations, each of which parses a request, makes a recommendation and encodes it."""

    def __init__(
        self,
        targets: TargetResolver,
        recommender: Recommender,
        item_filters: ItemFilters,
        catalogues: Catalogues,
        explorer: Explorer,
        authenticator: Authenticator,
        experiments: CampaignExperiments,
        recorder: AnswerRecorder,
    ) -> None:
        self._targets = targets
        self._experiments = experiments
        self._recommender = recommender
        self._item_filters = item_filters
        self._catalogues = catalogues
        self._explorer = explorer
        self._recorder = recorder
        self.routes = RestJson(
            authenticator,
            {
                "/recommendations": Operation(
                    "GetRecommendations", GetRecommendationsRequest, "recommend", self.get_recommendations
                ),
                "/personalize-ranking": Operation(
                    "GetPersonalizedRanking",
                    GetPersonalizedRankingRequest,
                    "recommend",
                    self.get_personalized_ranking,
                ),
                "/action-recommendations": declined("GetActionRecommendations", WireModel),
            },
        )

    async def get_recommendations(
        self, call: Call, request: GetRecommendationsRequest
    ) -> GetRecommendationsResponse:
        """Return recommendations of a campaign or recommender, scored now.

        Raise InvalidInputException and ResourceNotFoundException as Amazon Personalize does.
        """
        if request.campaign_arn is None:
            target = await self._targets.recommender(call.principal, request.recommender_arn or "")
            response, _ = await self._recommend(request, target, None)
            return response
        return await self._experiments.answer(
            call,
            request.campaign_arn,
            request.user_id,
            lambda *chosen: self._recommend(request, *chosen),
            lambda target: self._item_ids(request, target),
        )

    async def _recommend(
        self, request: GetRecommendationsRequest, target: Target, variant: ServedVariant | None
    ) -> tuple[GetRecommendationsResponse, bytes]:
        answering, recommended = await self._recommended(request, target)
        metadata = self._metadata(target, request)
        recommendation_id = self._recorder.scored(
            target,
            "runtime",
            request.user_id,
            request.campaign_arn or request.recommender_arn or "",
            recommended,
            {"item_id": request.item_id, "limit": request.limit, "filter": request.filter_arn},
            variant,
        )
        item_ids = [each.item_id for each in recommended.items]
        await self._explorer.remember(target, recommendation_id, item_ids)
        response = GetRecommendationsResponse(
            item_list=_items(recommended.items, metadata, scored=_shows_scores(answering)),
            recommendation_id=recommendation_id,
        )
        return response, recommended.source

    async def _recommended(
        self, request: GetRecommendationsRequest, target: Target
    ) -> tuple[Target, Recommended]:
        """Return what a target recommends, and the target that answers in its place."""
        if target.only_ranks:
            raise invalid_input("The recipe of this campaign ranks given items: use GetPersonalizedRanking.")
        target.check_context(request.context)
        query = RecommendationQuery(
            request.user_id,
            request.item_id,
            request.limit,
            await self._item_filters.bind(target.tenant, request.filter_arn, request.filter_values),
            await self._promotion(target, request.promotions),
            request.context or {},
        )
        answering = await self._answering(target, query)
        return answering, await self._recommender.recommend(answering, query)

    async def _item_ids(self, request: GetRecommendationsRequest, target: Target) -> list[str]:
        _, recommended = await self._recommended(request, target)
        return [each.item_id for each in recommended.items]

    async def _answering(self, target: Target, query: RecommendationQuery) -> Target:
        """Return what answers: what goes with the item, if it is requested for a user whom nobody knows."""
        if target.kind != "user" or query.item_id is None or not query.user_id:
            return target
        if await self._recommender.knows(target, query.user_id):
            return target
        return self._targets.related(target.tenant)

    async def get_personalized_ranking(
        self, call: Call, request: GetPersonalizedRankingRequest
    ) -> GetPersonalizedRankingResponse:
        """Return the items of the request in the order for its user.

        Raise InvalidInputException and ResourceNotFoundException as Amazon Personalize does.
        """
        return await self._experiments.answer(
            call,
            request.campaign_arn,
            request.user_id,
            lambda *chosen: self._rank(request, *chosen),
            lambda target: self._ranked_ids(request, target),
        )

    async def _rank(
        self, request: GetPersonalizedRankingRequest, target: Target, variant: ServedVariant | None
    ) -> tuple[GetPersonalizedRankingResponse, bytes]:
        ranked = await self._ranked(request, target)
        metadata = self._metadata(target, request)
        response = GetPersonalizedRankingResponse(
            personalized_ranking=_items(ranked.items, metadata, scored=True),
            recommendation_id=self._recorder.scored(
                target,
                "runtime",
                request.user_id,
                request.campaign_arn,
                ranked,
                {"filter": request.filter_arn},
                variant,
            ),
        )
        return response, ranked.source

    async def _ranked(self, request: GetPersonalizedRankingRequest, target: Target) -> Recommended:
        if target.kind != "user":
            raise invalid_input("The recipe of this campaign does not rank for a user.")
        target.check_context(request.context)
        bound_filter = await self._item_filters.bind(target.tenant, request.filter_arn, request.filter_values)
        return await self._recommender.rank(
            target, request.user_id, request.input_list, bound_filter, request.context or {}
        )

    async def _ranked_ids(self, request: GetPersonalizedRankingRequest, target: Target) -> list[str]:
        return [each.item_id for each in (await self._ranked(request, target)).items]

    async def _promotion(
        self, target: Target, promotions: tuple[PromotionMember, ...] | None
    ) -> Promotion | None:
        if not promotions:
            return None
        (promotion,) = promotions
        if promotion.percent_promoted_items is None:
            raise invalid_input("A promotion needs percentPromotedItems, from 1 to 100.")
        bound_filter = await self._item_filters.bind(
            target.tenant, promotion.filter_arn, promotion.filter_values
        )
        return Promotion(promotion.name, promotion.percent_promoted_items, bound_filter)

    def _metadata(
        self, target: Target, request: GetRecommendationsRequest | GetPersonalizedRankingRequest
    ) -> ItemMetadata | None:
        names = (request.metadata_columns or {}).get("ITEMS", ())
        return ItemMetadata.of(target, names, self._catalogues.of(target.tenant)) if names else None


def _shows_scores(target: Target) -> bool:
    """Return whether Amazon Personalize shows scores for this recipe."""
    if target.model is not None:
        return target.model.scoring.scored
    return target.recipe == USER


def _items(
    recommendations: list[Recommendation], metadata: ItemMetadata | None, *, scored: bool
) -> tuple[PredictedItem, ...]:
    return tuple(
        PredictedItem(
            item_id=each.item_id,
            score=each.score if scored else None,
            promotion_name=each.promotion,
            metadata=metadata.about(each.item_id) if metadata else None,
            reason=each.reason,
        )
        for each in recommendations
    )
