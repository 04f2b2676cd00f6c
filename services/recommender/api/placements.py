"""The routes for placements: one, a page of several, one for many users, and the list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from services.recommender.api.placement_bodies import (
    ListedPlacement,
    Page,
    PageRequest,
    PlacementList,
    PlacementRecommendations,
)
from services.recommender.api.placement_parameters import Fields
from services.recommender.api.placement_streams import EventStream, PlacementStreams
from services.recommender.api.rest_bodies import documented
from services.recommender.serving.placements.request import PlacementRequest
from shared.auth import Authenticator, Principal
from shared.events.envelope import Name

if TYPE_CHECKING:
    from services.recommender.api.placement_answers import PlacementAnswers
    from services.recommender.store.placements import Placements

PREFIX = "/api/v1/placements"
PAGES = "/api/v1/pages"


class PlacementRoutes:
    """The routes. `PlacementAnswers` encodes the bodies; FastAPI documents and validates the requests."""

    def __init__(
        self,
        answers: PlacementAnswers,
        placements: Placements,
        streams: PlacementStreams,
        authenticator: Authenticator,
    ) -> None:
        self._answers = answers
        self._streams = streams
        self._placements = placements
        self._reader = Depends(authenticator.require("read"))
        self._caller = Depends(authenticator.require("recommend"))

    def router(self) -> APIRouter:
        """Return all routes."""
        router = APIRouter(tags=["Placements"])
        self._add_list(router)
        self._add_one(router)
        self._add_stream(router)
        self._add_page(router)
        return router

    def _add_list(self, router: APIRouter) -> None:
        @router.get(PREFIX, operation_id="list_placements")
        async def list_placements(principal: Principal = self._reader) -> PlacementList:
            """Return the placements that can be requested, and their definitions."""
            return PlacementList(
                placements=[
                    ListedPlacement(
                        name=named.name,
                        revision=named.revision,
                        default=named.revision is None,
                        placement=named.placement,
                    )
                    for named in self._placements.of(principal.own_tenant)
                ]
            )

    def _add_one(self, router: APIRouter) -> None:
        @router.get(
            f"{PREFIX}/{{name}}",
            operation_id="placement",
            responses=_documented(),
        )
        async def placement(
            name: Annotated[Name, Path(description="such as home, product or cart")],
            fields: Fields,
            principal: Principal = self._caller,
        ) -> Response:
            """Return the items of a placement for a visitor."""
            reply = await self._answers.reply(PlacementRequest(principal.own_tenant, name, **fields))
            response = Response(reply.body)
            response.raw_headers = reply.headers
            return response

    def _add_stream(self, router: APIRouter) -> None:
        @router.get(
            f"{PREFIX}/{{name}}/stream",
            operation_id="placement_stream",
            status_code=200,
            response_class=EventStream,
            responses={
                200: {"description": "Events `recommendations`, whose data is the JSON of an answer."},
                404: {"description": "There is no such placement."},
                429: {"description": "The process has too many streams."},
            },
        )
        async def stream(
            name: Annotated[Name, Path(description="such as home, product or cart")],
            fields: Fields,
            principal: Principal = self._caller,
        ) -> EventStream:
            """Send the items of a placement for a visitor as server-sent events, whenever they change."""
            return await self._streams.open(PlacementRequest(principal.own_tenant, name, **fields))

    def _add_page(self, router: APIRouter) -> None:
        @router.post(PAGES, operation_id="page", responses={200: {"model": Page}})
        async def page(body: PageRequest, principal: Principal = self._caller) -> Response:
            """Return the items of several placements for a visitor, or of one placement for many users.

            No item is on a page twice: the placements are filled in the order of the request. A request for
            many users needs the scope `read`.
            """
            if body.users:
                principal.may("read")
            content = await self._answers.page(principal.own_tenant, body)
            return Response(content, media_type="application/json")


def _documented() -> dict[int | str, dict[str, Any]]:
    return {**documented(PlacementRecommendations), 404: {"description": "There is no such placement."}}
