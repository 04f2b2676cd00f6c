"""The REST routes for storefronts and backends of shops."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from services.recommender.api.audience_bodies import PlaceAudience
from services.recommender.api.parameters import (
    Area,
    CustomerLimit,
    DashboardLimit,
    Limit,
    SessionId,
    SimilarLimit,
    Strategy,
    UnitOfExperiment,
)
from services.recommender.api.rest_bodies import (
    AffinityRecommendations,
    BackendItemRecommendations,
    BackendUserRecommendations,
    ItemRecommendations,
    StatusBody,
    UserRecommendations,
    documented,
)
from services.recommender.domain.recipes import AFFINITY, SIMILAR, USER
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.envelope import Name
from shared.experiments import BACKEND, PREFIX, RESERVED

if TYPE_CHECKING:
    from services.recommender.api.audience_answers import AudienceAnswers
    from services.recommender.api.replies import Reply
    from services.recommender.api.rest_answers import RestAnswers
    from services.recommender.api.status import Status
    from services.recommender.store.lists import Location

Identifier = Annotated[Name, Path(description="the id that the shop's events use")]


class RestRoutes:
    """The routes. `RestAnswers` encodes the bodies; FastAPI documents them, and validates the parameters."""

    def __init__(
        self,
        answers: RestAnswers,
        status: Status,
        audiences: AudienceAnswers,
        authenticator: Authenticator,
    ) -> None:
        self._answers = answers
        self._audiences = audiences
        self._status = status
        self._reader = Depends(authenticator.require("read"))
        self._caller = Depends(authenticator.require("recommend"))

    def router(self) -> APIRouter:
        """Return all routes; those with fixed paths come first, because an id matches any path."""
        router = APIRouter(tags=["Recommendations"])
        self._add_status(router)
        self._add_by_location(router)
        self._add_for_items(router)
        self._add_for_users(router)
        self._add_for_backends(router)
        return router

    def _add_status(self, router: APIRouter) -> None:
        @router.get(f"{PREFIX}/status", operation_id="status")
        async def status(principal: Principal = self._reader) -> StatusBody:
            """Return what is served to the tenant."""
            return StatusBody(**self._status.of(principal.own_tenant))

    def _add_by_location(self, router: APIRouter) -> None:
        @router.get(
            f"{PREFIX}/recommendations/by-location",
            operation_id="recommendations_by_location",
            responses=documented(PlaceAudience),
        )
        async def by_location(
            limit: Limit,
            city: Area = None,
            province: Area = None,
            country: Area = None,
            category: Area = None,
            customers: CustomerLimit = 50,
            principal: Principal = self._reader,
        ) -> Response:
            """Return what is popular at a place, and what is recommended to its customers.

            The popular items are those of the nearest named area that has a list. `category` restricts the
            items of customers.
            """
            tenant, location = principal.own_tenant, (city, province, country)
            _check_location(location)
            reply = await self._answers.for_location(tenant, location, limit)
            members = await self._audiences.of_place(tenant, location, customers, limit, category)
            return _response(replace(reply, body=reply.body[:-1] + b"," + members[1:]))

    def _add_for_items(self, router: APIRouter) -> None:
        @router.get(
            f"{PREFIX}/recommendations/similar/{{product_id:path}}",
            operation_id="similar_items",
            responses=documented(ItemRecommendations),
        )
        @router.get(
            f"{PREFIX}/similar-items/{{product_id:path}}",
            operation_id="similar_items_short",
            responses=documented(ItemRecommendations),
        )
        async def similar(
            product_id: Identifier,
            limit: Limit,
            unit: UnitOfExperiment,
            strategy: Strategy = None,
            principal: Principal = self._caller,
        ) -> Response:
            """Return items related to an item."""
            tenant = principal.own_tenant
            return _response(await self._answers.for_item(tenant, product_id, limit, strategy, SIMILAR, unit))

    def _add_for_users(self, router: APIRouter) -> None:
        @router.get(
            f"{PREFIX}/recommendations/item-affinity/{{user_id:path}}",
            operation_id="item_affinity",
            responses=documented(AffinityRecommendations),
        )
        @router.get(
            f"{PREFIX}/item-affinity/{{user_id:path}}",
            operation_id="item_affinity_short",
            responses=documented(AffinityRecommendations),
        )
        async def affinity(
            user_id: Identifier,
            limit: Limit,
            strategy: Strategy = None,
            principal: Principal = self._caller,
        ) -> Response:
            """Return items related to those that a user purchased."""
            tenant = principal.own_tenant
            return _response(await self._answers.for_user(tenant, user_id, limit, strategy, AFFINITY))

        @router.get(
            f"{PREFIX}/recommendations/{{user_id:path}}",
            operation_id="recommendations",
            responses=documented(UserRecommendations),
        )
        async def recommendations(
            user_id: Identifier,
            limit: Limit,
            session_id: SessionId,
            strategy: Strategy = None,
            principal: Principal = self._caller,
        ) -> Response:
            """Return recommendations for a user."""
            _check_user_id(user_id)
            tenant = principal.own_tenant
            reply = await self._answers.for_user(tenant, user_id, limit, strategy, USER, session_id)
            return _response(reply)

        @router.get(
            "/api/v1/ml/recommendations/{user_id:path}",
            operation_id="dashboard_recommendations",
            responses=documented(UserRecommendations),
        )
        async def dashboard_recommendations(
            user_id: Identifier, limit: DashboardLimit = 10, principal: Principal = self._caller
        ) -> Response:
            """Return recommendations for a user to the dashboard of an existing shop."""
            return _response(await self._answers.for_user(principal.own_tenant, user_id, limit, None, USER))

    def _add_for_backends(self, router: APIRouter) -> None:
        """Add the routes that backends of shops call; their answers have two additional fields."""

        @router.get(
            BACKEND,
            operation_id="backend_recommendations",
            responses=documented(BackendUserRecommendations),
        )
        async def backend_recommendations(
            limit: Limit,
            session_id: SessionId,
            user_id: Annotated[
                Name | Literal[""] | None,
                Query(
                    alias="userId",
                    description="without it, the session's events decide, else what is popular is returned",
                ),
            ] = None,
            strategy: Strategy = None,
            principal: Principal = self._caller,
        ) -> Response:
            """Return recommendations for a user or a guest to a shop's backend."""
            tenant = principal.own_tenant
            if user_id:
                reply = await self._answers.for_user(tenant, user_id, limit, strategy, USER, session_id)
            else:
                reply = await self._answers.for_guest(tenant, limit, strategy, session_id)
            return _response(self._answers.for_backend(tenant, reply))

        @router.get(
            f"{BACKEND}/{{product_id:path}}",
            operation_id="backend_similar_items",
            responses=documented(BackendItemRecommendations),
        )
        async def backend_similar(
            product_id: Identifier,
            limit: SimilarLimit,
            unit: UnitOfExperiment,
            strategy: Strategy = None,
            principal: Principal = self._caller,
        ) -> Response:
            """Return items related to an item to a shop's backend."""
            tenant = principal.own_tenant
            reply = await self._answers.for_item(tenant, product_id, limit, strategy, SIMILAR, unit)
            return _response(self._answers.for_backend(tenant, reply))


def _check_location(location: Location) -> None:
    if not any(location):
        raise ApiError(400, "InvalidRequest", "Give a city, a province or a country.")


def _check_user_id(user_id: str) -> None:
    if user_id.partition("/")[0] in RESERVED:
        raise ApiError(404, "NotFound", f"There is no recommendations/{user_id}, nor a user of that id.")


def _response(reply: Reply) -> Response:
    response = Response(reply.body)
    response.raw_headers = reply.headers
    return response
