"""What a shop's backend reports: `POST /api/personalize/track/{view,cart,purchase}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError

from services.tracker.api.intake import Intake, answer
from services.tracker.domain.backend import (
    TrackCart,
    TrackPurchase,
    TrackView,
    purchased,
    put_into_cart,
    viewed,
)
from services.tracker.domain.native import what_is_wrong
from services.tracker.domain.reception import Reception
from services.tracker.metrics import REJECTED
from shared.errors import ApiError
from shared.events import InteractionRecorded
from shared.http.request_bodies import documented

Tracked = TypeVar("Tracked", bound=BaseModel)


class TrackAnswer(BaseModel):
    """The events are in the log, under these ids."""

    success: bool
    accepted: int
    ids: list[str]


def backend_routes(intake: Intake) -> APIRouter:
    """The three routes."""
    router = APIRouter(prefix="/api/personalize/track", tags=["Shop backend"])
    _add(router, intake, "view", TrackView, viewed, "A product was looked at.")
    _add(router, intake, "cart", TrackCart, put_into_cart, "A product was put into the cart.")
    _add(router, intake, "purchase", TrackPurchase, purchased, "Products were bought.")
    return router


def _add(
    router: APIRouter,
    intake: Intake,
    name: str,
    model: type[Tracked],
    interactions: Callable[[Tracked, Reception], list[InteractionRecorded]],
    summary: str,
) -> None:
    async def track(request: Request) -> Response:
        caller, body = await intake.read(request)
        tenant = caller.own_tenant
        events = interactions(_parsed(model, body), intake.reception(tenant))
        await intake.accept(events, "backend", len(body))
        return answer({"success": True, "accepted": len(events), "ids": [one.event_id for one in events]})

    router.add_api_route(
        f"/{name}",
        track,
        methods=["POST"],
        operation_id=f"track{name.title()}",
        summary=summary,
        response_class=Response,
        responses={200: {"model": TrackAnswer, "description": "The events are in the log."}},
        openapi_extra=documented(model),
    )


def _parsed(model: type[Tracked], body: bytes) -> Tracked:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        REJECTED.labels("backend").inc()
        raise ApiError(400, "InvalidRequest", what_is_wrong(error)) from None
