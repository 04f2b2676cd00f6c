"""The routes of `/graphql`, and the fast path in front of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from services.recommender.api.graphql.endpoint import MAX_BODY_BYTES, PATH, Answer, of_api_error
from shared.errors import ApiError
from shared.http.fast_path import RawFastPath
from shared.http.request_bodies import documented, read_body

if TYPE_CHECKING:
    from collections.abc import Container

    from starlette.types import ASGIApp, Scope

    from services.recommender.api.graphql.endpoint import GraphqlEndpoint


class GraphqlBody(BaseModel):
    """A request of GraphQL over HTTP."""

    query: str = Field(description="the text of the operations; the types are those of schema.graphql")
    variables: dict[str, Any] | None = Field(None, description="the values of the operation's variables")
    operation_name: str | None = Field(
        None, alias="operationName", description="the operation to run, if the text has several"
    )


class GraphqlAnswer(BaseModel):
    """An answer of AWS AppSync."""

    data: dict[str, Any] | None = Field(None, description="the selected fields; null if nothing ran")
    errors: list[dict[str, Any]] | None = Field(
        None, description="why fields are null: path, message, errorType, locations"
    )


class GraphqlRoutes:
    """The routes, for the OpenAPI document and for requests that the fast path does not handle."""

    def __init__(self, endpoint: GraphqlEndpoint) -> None:
        self._endpoint = endpoint

    def router(self) -> APIRouter:
        """Return POST and GET of `/graphql`."""
        router = APIRouter(tags=["GraphQL"])

        @router.post(
            PATH,
            operation_id="graphql",
            responses={200: {"model": GraphqlAnswer}},
            openapi_extra=documented(GraphqlBody),
        )
        async def graphql(request: Request) -> Response:
            """Run a query or a mutation; errors have the formats of AWS AppSync."""
            try:
                body = await read_body(request, MAX_BODY_BYTES)
            except ApiError as error:
                refusal = of_api_error(error)
                return _response(Answer(refusal.status, refusal.headers, refusal.body))
            return _response(await self._endpoint.answer(request.scope, body))

        @router.get(PATH, operation_id="graphql_query", responses={200: {"model": GraphqlAnswer}})
        async def graphql_query(
            request: Request,
            query: Annotated[str | None, Query(description="the text of the operations")] = None,  # noqa: ARG001 - read from the request
            variables: Annotated[str | None, Query(description="the variables, as JSON")] = None,  # noqa: ARG001
            operation_name: Annotated[str | None, Query(alias="operationName")] = None,  # noqa: ARG001
        ) -> Response:
            """Run a query."""
            return _response(await self._endpoint.answer(request.scope, b""))

        return router


class _Fast:
    """The endpoint as `RawFastPath` calls it."""

    def __init__(self, endpoint: GraphqlEndpoint) -> None:
        self._endpoint = endpoint

    @property
    def paths(self) -> Container[str]:
        """Return the one path."""
        return (PATH,)

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a request with this body."""
        return await self._endpoint.answer(scope, body)


def graphql_fast_path(app: ASGIApp, endpoint: GraphqlEndpoint) -> ASGIApp:
    """Return an application that answers plain POST requests of `/graphql`, and passes others on to `app`."""
    return RawFastPath(app, _Fast(endpoint), of_pages=True)


def _response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    return response
