"""Routes that clients of vendors call by themselves, such as `POST /v1/batch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from services.tracker.api.collector import Collector
from services.tracker.api.replies import EventsResponse
from services.tracker.domain.wire_format import ClientRoute
from shared.http import accept_any_parameters
from shared.http.request_bodies import documented

_STATUSES: dict[int | str, dict[str, Any]] = {
    200: {"model": EventsResponse, "description": "At least one event is in the log."},
    413: {"description": "The request has more than 500 KB or 2,500 events, or an event more than 32 KB."},
}


def client_routes(collector: Collector, routes: tuple[ClientRoute, ...]) -> APIRouter:
    """Return the routes of vendors' clients."""
    router = APIRouter()
    for route in routes:
        add_client_route(router, collector, route)
    return router


def add_client_route(
    router: APIRouter,
    collector: Collector,
    route: ClientRoute,
    *,
    content: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> None:
    """Add a route; `content` documents its bodies by media type, by default as JSON of the route's schema."""

    async def collect(request: Request) -> Response:
        accept_any_parameters(request.scope)
        body = await collector.read(request, route) if route.method == "POST" else b""
        answer = await collector.answer(request.scope, body)
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        return Response(answer.body, answer.status, headers)

    router.add_api_route(
        route.path,
        collect,
        methods=[route.method],
        operation_id=route.operation_id,
        include_in_schema=not route.is_alias,
        summary=route.summary,
        description=description or route.schema.__doc__,
        tags=[route.tag],
        response_class=Response,
        responses=_responses(route),
        openapi_extra=_documented(route, content),
    )


def _responses(route: ClientRoute) -> dict[int | str, dict[str, Any]]:
    if route.reply == "pixel":
        return {200: {"description": "The event is in the log.", "content": {"image/gif": {}}}}
    if route.reply == "nothing":
        return {204: {"description": "The events are in the log."}}
    return _STATUSES


def _documented(route: ClientRoute, content: Mapping[str, Any] | None) -> dict[str, Any]:
    if route.is_alias:  # it is not in the document
        return {}
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": "a storefront or ingest key, for clients that send no headers",
            "schema": {"type": "string"},
        }
        for name in route.key_parameters
    ]
    if route.method == "GET":
        schema = route.schema.model_json_schema()
        parameters += [
            {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": member}
            for name, member in schema["properties"].items()
        ]
        return {"parameters": parameters}
    body = documented(route.schema)
    if content is not None:
        body = {"requestBody": {"required": True, "content": dict(content)}}
    return {**body, "parameters": parameters} if parameters else body
