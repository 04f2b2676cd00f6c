"""Routes of the wire formats that have one each, such as `POST /api/personalize/track/view`."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError

from services.tracker.api.intake import Intake, json_response
from services.tracker.domain.formats import REQUEST_FORMATS
from services.tracker.domain.outcomes import validation_message
from services.tracker.domain.wire_format import RequestFormat
from services.tracker.metrics import REJECTED
from shared.errors import ApiError
from shared.http.request_bodies import documented


class TrackResponse(BaseModel):
    """The events are in the log, under these ids."""

    success: bool
    accepted: int
    ids: list[str]


def track_routes(intake: Intake) -> APIRouter:
    """Return the routes of all request formats."""
    router = APIRouter()
    for request_format in REQUEST_FORMATS:
        _add_route(router, intake, request_format)
    return router


def _add_route(router: APIRouter, intake: Intake, request_format: RequestFormat) -> None:
    async def track(request: Request) -> Response:
        caller, body = await intake.read(request)
        tenant = caller.own_tenant
        context = await intake.context(tenant, request.scope)
        parsed = request_format.parse(_parse_body(request_format, body), context)
        events = [context.marked(event, None) for event in parsed]
        await intake.accept(events, request_format.source, len(body))
        ids = [event.event_id for event in events]
        return json_response({"success": True, "accepted": len(events), "ids": ids})

    router.add_api_route(
        request_format.path,
        track,
        methods=["POST"],
        operation_id=request_format.operation_id,
        summary=request_format.summary,
        tags=[request_format.tag],
        response_class=Response,
        responses={200: {"model": TrackResponse, "description": "The events are in the log."}},
        openapi_extra=documented(request_format.schema),
    )


def _parse_body(request_format: RequestFormat, body: bytes) -> BaseModel:
    try:
        return request_format.schema.model_validate_json(body)
    except ValidationError as error:
        REJECTED.labels(request_format.source).inc()
        raise ApiError(400, "InvalidRequest", validation_message(error)) from None
