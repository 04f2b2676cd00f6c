"""The explanation of a placement: the answer that a visitor would get now, for people who look at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Response

from services.recommender.api.placement_bodies import PlacementRecommendations
from services.recommender.api.placement_parameters import Fields
from services.recommender.serving.placements.request import PlacementRequest
from shared.auth import Authenticator, Principal
from shared.events.placements import PlacementName
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.recommender.api.placement_answers import PlacementAnswers
    from services.recommender.serving.placements.engine import PlacementEngine

Named = Annotated[PlacementName, Path(description="such as home, product or cart")]


class ExplanationRoutes:
    """The route."""

    def __init__(
        self, engine: PlacementEngine, answers: PlacementAnswers, authenticator: Authenticator
    ) -> None:
        self._engine = engine
        self._answers = answers
        self._reader = Depends(authenticator.require("read"))

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(tags=["Placements"])

        @router.get(
            "/v1/placements/{name}/explanation",
            operation_id="explain_placement",
            responses={
                200: {"model": PlacementRecommendations},
                404: {"model": ErrorBody, "description": "There is no such placement."},
            },
        )
        async def explanation(name: Named, fields: Fields, principal: Principal = self._reader) -> Response:
            """Return the answer that a visitor would get now, with its explanation.

            Nothing is recorded or counted, so the answer has an empty recommendation id.
            """
            request = PlacementRequest(principal.own_tenant, name, **fields)
            answer = await self._engine.answer(replace(request, explain=True, is_trial=True))
            return Response(self._answers.encode(answer, b""), media_type="application/json")

        return router
