"""REST: what storefronts ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from services.recommender.domain.recipes import AFFINITY, SIMILAR, USER
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.envelope import Name, Text

if TYPE_CHECKING:
    from services.recommender.api.answers import Answers, Reply
    from services.recommender.api.live import Live
    from services.recommender.api.status import Status

MAX_LIMIT = 100
DEFAULT_LIMIT = 10
DEFAULT_SIMILAR = 6
PREFIX = "/api/v1/personalize"
LEGACY = "/api/personalize/recommendations"

Identifier = Annotated[Name, Path(description="as the shop's events name it")]
Place = Annotated[Annotated[Text, StringConstraints(max_length=256)] | None, Query()]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many items to return at most")]
Strategy = Annotated[
    Annotated[Text, StringConstraints(max_length=2048)] | None,
    Query(description="a recipe to answer by instead of the usual one, or the ARN of a campaign"),
]


class RecommendedItem(BaseModel):
    """One item, described by what the shop last said of it."""

    product_id: str
    product_name: str | None = None
    price: float | None = None
    score: float | None = Field(None, description="comparable within one list only")


class _Recommendations(BaseModel):
    recommendations: list[RecommendedItem]
    source: str = Field(description="redis, postgres or popular; model for the ARN of a campaign")
    generation: int | None = Field(description="the batch that made the list; null if there was none yet")


class UserRecommendations(_Recommendations):
    """Items for a user: available, and not bought within the look-back."""

    user_id: str


class ItemRecommendations(_Recommendations):
    """Items that go with an item."""

    product_id: str


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
            city: Place = None,
            province: Place = None,
            country: Place = None,
            limit: Limit = DEFAULT_LIMIT,
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
            responses=_documented(ItemRecommendations),
        )
        @router.get(
            f"{PREFIX}/similar-items/{{product_id:path}}",
            operation_id="similar_items_short",
            responses=_documented(ItemRecommendations),
        )
        async def similar(
            product_id: Identifier,
            limit: Limit = DEFAULT_LIMIT,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """Items that go with an item."""
            return await self._for_item(principal.own_tenant, product_id, limit, strategy)

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
            limit: Limit = DEFAULT_LIMIT,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """Items like those that a user bought."""
            return await self._for_user(principal.own_tenant, user_id, limit, strategy, AFFINITY)

        @router.get(
            f"{PREFIX}/recommendations/{{user_id:path}}",
            operation_id="recommendations",
            responses=_documented(UserRecommendations),
        )
        async def recommendations(
            user_id: Identifier,
            limit: Limit = DEFAULT_LIMIT,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """What a user is recommended."""
            return await self._for_user(principal.own_tenant, user_id, limit, strategy, USER)

        @router.get(
            LEGACY,
            operation_id="backend_recommendations",
            responses=_documented(UserRecommendations),
        )
        async def backend_recommendations(
            user_id: Annotated[Name, Query(alias="userId")],
            limit: Annotated[int, Query(alias="numResults", ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """What a user is recommended, as a shop's backend asks for it."""
            return await self._for_user(principal.own_tenant, user_id, limit, strategy, USER)

        @router.get(
            f"{LEGACY}/{{product_id:path}}",
            operation_id="backend_similar_items",
            responses=_documented(ItemRecommendations),
        )
        async def backend_similar(
            product_id: Identifier,
            limit: Annotated[int, Query(alias="numResults", ge=1, le=MAX_LIMIT)] = DEFAULT_SIMILAR,
            strategy: Strategy = None,
            principal: Principal = reader,
        ) -> Response:
            """Items that go with an item, as a shop's backend asks for them."""
            return await self._for_item(principal.own_tenant, product_id, limit, strategy)

        return router

    async def _for_user(
        self, tenant: str, user_id: str, limit: int, strategy: str | None, usual: str
    ) -> Response:
        if strategy is not None and strategy.startswith("arn:"):
            return _response(await self._live.for_user(tenant, strategy, user_id, limit))
        recipe = self._answers.check_strategy(tenant, strategy, usual)
        return _response(await self._answers.for_user(tenant, user_id, limit, recipe))

    async def _for_item(self, tenant: str, item_id: str, limit: int, strategy: str | None) -> Response:
        if strategy is not None and strategy.startswith("arn:"):
            return _response(await self._live.for_item(tenant, strategy, item_id, limit))
        recipe = self._answers.check_strategy(tenant, strategy, SIMILAR)
        return _response(await self._answers.for_item(tenant, item_id, limit, recipe))


def _response(reply: Reply) -> Response:
    response = Response(reply.body)
    response.raw_headers = reply.headers
    return response
