"""REST: what storefronts ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from services.recommender.api.parameters import Limit, Place, SimilarLimit, Strategy, unit_of_experiment
from services.recommender.domain.recipes import AFFINITY, SIMILAR, USER
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.envelope import Name

if TYPE_CHECKING:
    from services.recommender.api.answers import Answers, Reply
    from services.recommender.api.live import Live
    from services.recommender.api.status import Status

PREFIX = "/api/v1/personalize"
LEGACY = "/api/personalize/recommendations"

RESERVED = frozenset({"by-location", "by-segment", "by-category", "similar", "item-affinity"})
"""Words of paths in this API and in similar ones. In the place of a user's id they are refused with 404."""

Identifier = Annotated[Name, Path(description="as the shop's events name it")]


class RecommendedItem(BaseModel):
    """One item, described by what the shop last said of it."""

    product_id: str
    product_name: str | None = None
    price: float | None = None
    score: float | None = Field(None, description="comparable within one list only")
    algorithm: str | None = Field(
        description="the recipe that chose the item; null for what fills a list up because it is for sale"
    )


class _Recommendations(BaseModel):
    recommendations: list[RecommendedItem]
    count: int = Field(description="how many there are")
    source: str = Field(description="redis, postgres or popular; model for the ARN of a campaign")
    generation: int | None = Field(description="the batch that made the list; null if there was none yet")


class _ForBackend(BaseModel):
    success: bool = Field(description="always true: what goes wrong has another status")
    is_fallback: bool = Field(alias="isFallback", description="whether this is what is popular")


class UserRecommendations(_Recommendations):
    """Items for a user: available, and not bought within the look-back."""

    user_id: str


class BackendUserRecommendations(_ForBackend, _Recommendations):
    """Items for a user, or for a guest."""

    user_id: str | None = Field(description="null for a guest")


class ItemRecommendations(_Recommendations):
    """Items that go with an item."""

    product_id: str


class BackendItemRecommendations(_ForBackend, ItemRecommendations):
    """Items that go with an item."""


class PlaceRecommendations(_Recommendations):
    """What is popular in a place."""

    city: str | None = None
    province: str | None = None
    country: str | None = None


class StatusBody(BaseModel):
    """What is served to the caller's tenant."""

    tenant: str
    activation: int = Field(description="grows with every change of what is active; 0 if there was none")
    generations: dict[str, int] = Field(description="recipe → the batch whose lists are served")
    items: int = Field(description="items of the catalogue in memory")
    campaigns: dict[str, str] = Field(
        description="what answers for each active campaign: its `model`, or `lists` while that is fetched"
    )
    redis: bool = Field(description="whether Redis answers")


_HEADERS = {
    "X-Recs-Source": {"description": "the same as `source`", "schema": {"type": "string"}},
    "X-Recs-Generation": {"description": "the same as `generation`", "schema": {"type": "string"}},
}


def _documented(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "headers": _HEADERS}}


class Rest:
    """The routes. Bodies come from `Answers` as bytes, so FastAPI documents them and checks nothing."""

    def __init__(self, answers: Answers, live: Live, status: Status, authenticator: Authenticator) -> None:
        self._answers = answers
        self._live = live
        self._status = status
        self._reader = Depends(authenticator.require("read"))

    def router(self) -> APIRouter:
        """All routes; the fixed ones come first, since an id matches anything."""
        router = APIRouter(tags=["Recommendations"])
        reader = self._reader

        @router.get(f"{PREFIX}/status", operation_id="status")
        async def status(principal: Principal = reader) -> StatusBody:
            """What is served, and from where."""
            return StatusBody(**self._status.of(principal.own_tenant))

        @router.get(
            f"{PREFIX}/recommendations/by-location",
            operation_id="recommendations_by_location",
            responses=_documented(PlaceRecommendations),
        )
        async def by_location(
            limit: Limit,
            city: Place = None,
            province: Place = None,
            country: Place = None,
            principal: Principal = reader,
        ) -> Response:
            """What is popular there: in the nearest of the places given that has a list."""
            if not (city or province or country):
                raise ApiError(400, "InvalidRequest", "Give a city, a province or a country.")
            tenant = principal.own_tenant
            return _response(await self._answers.for_place(tenant, city, province, country, limit))

        @router.get(
            f"{PREFIX}/recommendations/similar/{{product_id:path}}",
            operation_id="similar_items",
            dependencies=[Depends(unit_of_experiment)],
            responses=_documented(ItemRecommendations),
        )
        @router.get(
            f"{PREFIX}/similar-items/{{product_id:path}}",
            operation_id="similar_items_short",
            dependencies=[Depends(unit_of_experiment)],
            responses=_documented(ItemRecommendations),
        )
        async def similar(
            product_id: Identifier,
            limit: Limit,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """Items that go with an item."""
            return _response(await self._for_item(principal.own_tenant, product_id, limit, strategy))

        @router.get(
            f"{PREFIX}/recommendations/item-affinity/{{user_id:path}}",
            operation_id="item_affinity",
            responses=_documented(UserRecommendations),
        )
        @router.get(
            f"{PREFIX}/item-affinity/{{user_id:path}}",
            operation_id="item_affinity_short",
            responses=_documented(UserRecommendations),
        )
        async def affinity(
            user_id: Identifier,
            limit: Limit,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """Items like those that a user bought."""
            tenant = principal.own_tenant
            return _response(await self._for_user(tenant, user_id, limit, strategy, AFFINITY))

        @router.get(
            f"{PREFIX}/recommendations/{{user_id:path}}",
            operation_id="recommendations",
            responses=_documented(UserRecommendations),
        )
        async def recommendations(
            user_id: Identifier,
            limit: Limit,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """What a user is recommended."""
            if user_id.partition("/")[0] in RESERVED:
                raise ApiError(
                    404, "NotFound", f"There is no recommendations/{user_id}, nor a user of that id."
                )
            return _response(await self._for_user(principal.own_tenant, user_id, limit, strategy, USER))

        self._add_backend_routes(router)
        return router

    def _add_backend_routes(self, router: APIRouter) -> None:
        """Add the routes that backends of shops call; the answers have two fields more."""
        reader = self._reader

        @router.get(
            LEGACY,
            operation_id="backend_recommendations",
            responses=_documented(BackendUserRecommendations),
        )
        async def backend_recommendations(
            limit: Limit,
            user_id: Annotated[
                Name | Literal[""] | None,
                Query(alias="userId", description="without one, the answer is what is popular"),
            ] = None,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """What a user is recommended, as a shop's backend asks for it; what is popular for a guest."""
            tenant = principal.own_tenant
            if user_id:
                reply = await self._for_user(tenant, user_id, limit, strategy, USER)
            else:
                reply = await self._for_guest(tenant, limit, strategy)
            return _response(reply.for_backend())

        @router.get(
            f"{LEGACY}/{{product_id:path}}",
            operation_id="backend_similar_items",
            dependencies=[Depends(unit_of_experiment)],
            responses=_documented(BackendItemRecommendations),
        )
        async def backend_similar(
            product_id: Identifier,
            limit: SimilarLimit,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """Items that go with an item, as a shop's backend asks for them."""
            reply = await self._for_item(principal.own_tenant, product_id, limit, strategy)
            return _response(reply.for_backend())

    async def _for_user(
        self, tenant: str, user_id: str, limit: int, strategy: str | None, usual: str
    ) -> Reply:
        if strategy is not None and strategy.startswith("arn:"):
            return await self._live.for_user(tenant, strategy, user_id, limit)
        recipe = self._answers.check_strategy(tenant, strategy, usual)
        return await self._answers.for_user(tenant, user_id, limit, recipe)

    async def _for_guest(self, tenant: str, limit: int, strategy: str | None) -> Reply:
        if strategy is not None and strategy.startswith("arn:"):
            return await self._live.for_guest(tenant, strategy, limit)
        self._answers.check_strategy(tenant, strategy, USER)
        return await self._answers.for_guest(tenant, limit)

    async def _for_item(self, tenant: str, item_id: str, limit: int, strategy: str | None) -> Reply:
        if strategy is not None and strategy.startswith("arn:"):
            return await self._live.for_item(tenant, strategy, item_id, limit)
        recipe = self._answers.check_strategy(tenant, strategy, SIMILAR)
        return await self._answers.for_item(tenant, item_id, limit, recipe)


def _response(reply: Reply) -> Response:
    response = Response(reply.body)
    response.raw_headers = reply.headers
    return response
