"""The routes for what answers showed, and why."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from services.recommender.metrics import LOOKUPS
from shared.auth import Authenticator, Principal
from shared.aws.personalize.recommendation_ids import SignedId, is_unsigned, parse, verify
from shared.errors import ApiError, Transient, unavailable
from shared.events.placements import PlacementName
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.recommender.settings import Settings
    from services.recommender.store.erasures import ErasedServings
    from services.recommender.store.serving_log import ServingLog
    from shared.events.servings import Serving

PREFIX = "/v1/recommendations"
MOST_NEWEST = 100
"""Answers of one list; arbitrary."""


class ShownItem(BaseModel):
    """An item of an answer."""

    product_id: str
    rank: int = Field(description="its position, from 1")
    strategy: str = Field(description="the strategy, recipe or campaign that proposed it; empty for a filler")
    picked_by: str | None = Field(None, description="the variant that picked it, in an interleaved answer")
    score: float | None = Field(None, description="of an answer whose variant has a propensity")


class ShownVariant(BaseModel):
    """The variant of an experiment that answered."""

    name: str
    version: int
    variant: str
    propensity: float | None = Field(
        None, description="the probability with which the unit got the variant; null if none was drawn"
    )


class ShownRecommendation(BaseModel):
    """Contents of an answer, and what it was made from."""

    recommendation_id: str
    served_at: datetime
    surface: str = Field(description="placement, rest, runtime or graphql")
    user_id: str | None
    session_id: str | None
    placement: str | None
    revision: int | None = Field(description="of the placement; null for a default one")
    target: str | None = Field(description="the requested campaign or recipe; null for a placement")
    items: list[ShownItem]
    source: str
    generation: int | None
    model_sha256: str | None = Field(description="the model that scored the items")
    experiment: ShownVariant | None
    history_events: int | None = Field(description="recent events of the visitor that were known")
    newest_event_at: datetime | None
    rules: list[str] = Field(description="the steps that left items out")
    shadow_of: str | None = Field(None, description="the shown answer, if nobody saw this one")
    request: dict[str, Any] = Field(description="the other parameters of the request")


class ShownRecommendations(BaseModel):
    """Answers, newest first."""

    recommendations: list[ShownRecommendation]


class ServedAnswers:
    """Looks answers up for their tenant."""

    def __init__(
        self,
        servings: ServingLog,
        key: bytes,
        kept: timedelta,
        erased: ErasedServings,
    ) -> None:
        """Look up answers that are at most `kept` old and whose id was signed with `key`."""
        self._servings = servings
        self._key = key
        self._kept = kept
        self._erased = erased

    async def find(self, tenant: str, id_: str) -> ShownRecommendation:
        """Return what an answer contained.

        Raise ApiError: 400 for an id that was not made for the tenant, 410 for an old one or an erased user,
        404 if the answer was not published, 503 without Kafka or Redis.
        """
        try:
            shown = await self._find(tenant, id_)
        except ApiError as error:
            LOOKUPS.labels(error.code).inc()
            raise
        LOOKUPS.labels("found").inc()
        return shown

    async def newest(self, tenant: str, placement: str | None, limit: int) -> list[ShownRecommendation]:
        """Return the last answers but those of erased users; raise ApiError 503 without Kafka or Redis."""
        try:
            servings = await self._servings.recent(tenant, placement, limit)
            erased = [await self._erased.contains(tenant, serving) for serving in servings]
        except Transient:
            raise unavailable("Kafka, which has the answers, or Redis") from None
        return [_shown(serving) for serving, is_erased in zip(servings, erased, strict=True) if not is_erased]

    async def _find(self, tenant: str, id_: str) -> ShownRecommendation:
        signed = self._verified(tenant, id_)
        age_seconds = time.time() - signed.milliseconds / 1000
        if age_seconds > self._kept.total_seconds():
            hours = self._kept.total_seconds() / 3600
            detail = (
                f"The answer {id_} was given more than {hours:g} hours ago: it can't be looked up any more."
            )
            raise ApiError(410, "RecommendationExpired", detail)
        try:
            serving = await self._servings.find(tenant, id_, signed, age_seconds)
        except Transient:
            raise unavailable("Kafka, which has the answers,") from None
        if serving is None:
            detail = (
                f"What the answer {id_} contained was not published, because a process was killed or Kafka "
                "was away for too long."
            )
            raise ApiError(404, "UnknownRecommendation", detail)
        await self._refuse_erased(tenant, serving)
        return _shown(serving)

    def _verified(self, tenant: str, id_: str) -> SignedId:
        if is_unsigned(id_):
            detail = f"The id {id_} is of an earlier release, which did not record what answers contained."
            raise ApiError(404, "UnknownRecommendation", detail)
        signed = parse(id_)
        if signed is None or not verify(id_, tenant, self._key):
            detail = f"{id_!r} is no recommendationId of this tenant: use that of an answer, unchanged."
            raise ApiError(400, "InvalidRecommendationId", detail)
        return signed

    async def _refuse_erased(self, tenant: str, serving: Serving) -> None:
        try:
            is_erased = await self._erased.contains(tenant, serving)
        except Transient:
            raise unavailable("Redis, which has the erased users,") from None
        if is_erased:
            detail = "The data of the user of this answer was erased."
            raise ApiError(410, "UserErased", detail)


class ServedRoutes:
    """The routes."""

    def __init__(self, served: ServedAnswers, authenticator: Authenticator) -> None:
        self._served = served
        self._reader = Depends(authenticator.require("read"))
        self._caller = Depends(authenticator.require("recommend"))

    @classmethod
    def of(
        cls,
        settings: Settings,
        servings: ServingLog,
        erased: ErasedServings,
        authenticator: Authenticator,
    ) -> APIRouter:
        """Return the routes over the log of servings."""
        served = ServedAnswers(servings, settings.recommendation_key, settings.kept_answers, erased)
        return cls(served, authenticator).router()

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["Recommendations"])

        @router.get(PREFIX, operation_id="newest_recommendations", responses={503: _ERRORS[503]})
        async def newest_recommendations(
            placement: Annotated[PlacementName | None, Query(description="answers of it alone")] = None,
            limit: Annotated[int, Query(ge=1, le=MOST_NEWEST)] = 20,
            principal: Principal = self._reader,
        ) -> ShownRecommendations:
            """Return the last answers of all surfaces, newest first, for people who watch them pass."""
            newest = await self._served.newest(principal.own_tenant, placement, limit)
            return ShownRecommendations(recommendations=newest)

        @router.get(f"{PREFIX}/{{recommendation_id}}", operation_id="shown_recommendation", responses=_ERRORS)
        async def shown_recommendation(
            recommendation_id: Annotated[str, Path(max_length=256, description="the id of an answer")],
            principal: Principal = self._caller,
        ) -> ShownRecommendation:
            """Return what an answer contained and why, for two days after it."""
            return await self._served.find(principal.own_tenant, recommendation_id)

        return router


def _shown(serving: Serving) -> ShownRecommendation:
    strategies = serving.strategies
    if len(strategies) == 1:
        strategies *= len(serving.item_ids)
    experiment = None
    if serving.experiment is not None and serving.variant is not None:
        experiment = ShownVariant(
            name=serving.experiment,
            version=serving.experiment_version or 1,
            variant=serving.variant,
            propensity=serving.propensity,
        )
    picked_by, scores = serving.picked_by or repeat(None), serving.scores or repeat(None)
    items = [
        ShownItem(product_id=item_id, rank=rank, strategy=strategy, picked_by=variant, score=score)
        for rank, (item_id, strategy, variant, score) in enumerate(
            zip(serving.item_ids, strategies, picked_by, scores, strict=False), 1
        )
    ]
    facts = serving.model_dump(
        include={
            *("recommendation_id", "served_at", "surface", "user_id", "session_id", "placement", "revision"),
            *("target", "source", "generation", "model_sha256", "history_events", "newest_event_at"),
            *("rules", "request"),
        }
    )
    shadow_of = None if serving.shadow is None else serving.shadow.of
    return ShownRecommendation(items=items, experiment=experiment, shadow_of=shadow_of, **facts)


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The id was not made for this tenant, or was changed."},
    404: {"model": ErrorBody, "description": "The answer was not published."},
    410: {"model": ErrorBody, "description": "The answer is older than 48 hours, or its user was erased."},
    503: {"model": ErrorBody, "description": "Kafka or Redis is not reachable."},
}
