"""GraphQL: the recommender answers, with the caller's own key, since it decides what a key may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from services.router.api.proxy import device_header
from shared.auth import AuthError
from shared.http import accept_any_parameters
from shared.http.request_bodies import documented, read_body

if TYPE_CHECKING:
    from services.router.store.upstream import Upstream
    from shared.auth import Authenticator

PATH: Final = "/graphql"
MAX_BODY_BYTES: Final = 64 * 1024
"""The recommender's own limit."""

_MESSAGES: Final = {
    "MissingCredentials": "Valid authorization header not provided.",
    "UnknownKey": "You are not authorized to make this call.",
}
"""The messages of AppSync, by the code of the AuthError."""

_CREDENTIALS: Final = ("x-api-key", "authorization", "x-endcap-tenant", "origin", "content-type")


class GraphqlBody(BaseModel):
    """A request of GraphQL over HTTP."""

    query: str = Field(description="the text of the operations")
    variables: dict[str, Any] | None = None
    operation_name: str | None = Field(None, alias="operationName")


class GraphqlRoutes:
    """POST and GET of `/graphql`."""

    def __init__(self, upstream: Upstream, authenticator: Authenticator) -> None:
        self._upstream = upstream
        self._authenticator = authenticator

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["GraphQL"])

        @router.post(PATH, operation_id="pass_graphql", openapi_extra=documented(GraphqlBody))
        async def graphql(request: Request) -> Response:
            """Return the recommender's answer to a query or a mutation."""
            return await self._forward(request)

        @router.get(PATH, operation_id="pass_graphql_query")
        async def graphql_query(
            request: Request,
            query: Annotated[str | None, Query(description="the text of the operations")] = None,  # noqa: ARG001 - read by the recommender
            variables: Annotated[str | None, Query(description="the variables, as JSON")] = None,  # noqa: ARG001
            operation_name: Annotated[str | None, Query(alias="operationName")] = None,  # noqa: ARG001
        ) -> Response:
            """Return the recommender's answer to a query."""
            return await self._forward(request)

        return router

    async def _forward(self, request: Request) -> Response:
        accept_any_parameters(request.scope)  # the recommender reads them
        body = await read_body(request, MAX_BODY_BYTES)
        try:
            # For the recommender, a caller without a key would be this process, on the same machine.
            principal = await self._authenticator.of_scope(request.scope, body)
            if not principal.has("catalogue"):
                principal.may("recommend")
            principal.own_tenant  # noqa: B018 - raises AuthError
        except AuthError as error:
            return _refusal(error)
        headers = {name: request.headers[name] for name in _CREDENTIALS if name in request.headers}
        headers |= device_header(request.scope)
        query = request.scope["query_string"]
        target = b"%b?%b" % (PATH.encode(), query) if query else PATH.encode()
        reply = await self._upstream.call_as(headers, request.method, target, body)
        response = Response(reply.body, reply.status)
        response.raw_headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        return response


def _refusal(error: AuthError) -> Response:
    """Return the answer to a caller who is refused, in the format of AWS AppSync."""
    is_unauthorized = error.status == 401 or error.code == "MissingScope"
    error_type = "UnauthorizedException" if is_unauthorized else "AccessDeniedException"
    body = orjson.dumps(
        {"errors": [{"errorType": error_type, "message": _MESSAGES.get(error.code, error.detail)}]}
    )
    return Response(body, error.status, {"x-amzn-errortype": error_type}, "application/json")
