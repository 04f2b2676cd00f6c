"""The replay of a placement: logged answers of an experiment, beside those of a definition."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from services.recommender.api.placement_previews import PREFIX, Named
from shared.auth import Authenticator, Principal
from shared.errors import ApiError, Permanent, Transient, unavailable
from shared.events.placements import Placement
from shared.experiments import Slug, placement_surface
from shared.filters.placement_definitions import parse
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.recommender.serving.experiments import Experiments
    from services.recommender.serving.placements.previews import Previews
    from services.recommender.serving.placements.replays import Replays
    from services.recommender.store.placements import Placements

DEFAULT_ANSWERS, MAX_ANSWERS = 500, 2_000
"""Logged answers of a replay. Arbitrary: each takes the CPU time of an answer of every variant."""

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The definition is invalid."},
    404: {"model": ErrorBody, "description": "No such experiment runs on the placement."},
    503: {"model": ErrorBody, "description": "Kafka, which has the logged answers, is not reachable."},
}


class ReplayedAnswer(BaseModel):
    """A logged answer, and the items of the definition for the same request."""

    recommendation_id: str
    served_at: datetime
    user_id: str | None
    session_id: str | None
    product_ids: list[str] = Field(description="the items that were shown")
    target_ids: list[str] = Field(description="the items that the definition would show")
    propensities: dict[str, float] = Field(
        description="item → the probability with which it was shown; without those that no variant shows"
    )


class ReplayBody(BaseModel):
    """Logged answers, newest first."""

    answers: list[ReplayedAnswer]


class ReplayRoutes:
    """The route."""

    def __init__(
        self,
        replays: Replays,
        previews: Previews,
        experiments: Experiments,
        placements: Placements,
        authenticator: Authenticator,
    ) -> None:
        self._replays = replays
        self._previews = previews
        self._experiments = experiments
        self._placements = placements
        self._admin = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(tags=["Placements"])

        @router.post(f"{PREFIX}/{{name}}/replay", operation_id="replay_placement", responses=_ERRORS)
        async def replay(
            name: Named,
            request: Request,
            placement: Placement,  # noqa: ARG001 - documents the body, which is parsed once more below
            experiment: Annotated[Slug, Query(description="the running experiment whose answers are read")],
            answers: Annotated[int, Query(ge=1, le=MAX_ANSWERS)] = DEFAULT_ANSWERS,
            principal: Principal = self._admin,
        ) -> ReplayBody:
            """Return the last answers of an experiment, and what a definition would have shown instead."""
            return await self._replay(principal.own_tenant, name, await request.body(), experiment, answers)

        return router

    async def _replay(self, tenant: str, name: str, body: bytes, experiment: str, count: int) -> ReplayBody:
        try:
            changed = parse(body)
            await self._previews.check(tenant, changed)
        except Permanent as error:
            raise ApiError(400, "InvalidPlacement", str(error)) from None
        await self._experiments.read()
        running = self._experiments.named(tenant, experiment)
        named = await self._placements.find(tenant, name)
        if running is None or named is None or running.surface != placement_surface(name):
            detail = f"No experiment {experiment!r} runs on the placement {name!r}."
            raise ApiError(404, "UnknownExperiment", detail)
        try:
            replays = await self._replays.of(running, named, changed, count)
        except Transient:
            raise unavailable("Kafka, which has the logged answers, or Redis") from None
        return ReplayBody(
            answers=[
                ReplayedAnswer(
                    recommendation_id=serving.recommendation_id,
                    served_at=serving.served_at,
                    user_id=serving.user_id,
                    session_id=serving.session_id,
                    product_ids=list(serving.item_ids),
                    target_ids=list(target_ids),
                    propensities=dict(propensities),
                )
                for serving, target_ids, propensities in replays
            ]
        )
