"""Routes of the AWS protocols: JSON 1.1 names the operation in a header, REST-JSON in the path."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from shared.auth import Authenticator
from shared.aws.protocols import JSON_11, REST_JSON, Protocol
from shared.aws.query import FORM
from shared.aws_server.operations import Answer, Operation, answer, error_answer
from shared.aws_server.query import Query
from shared.http import SMALL_BODY_BYTES, declared_bytes
from shared.http.request_bodies import documented, read_body

if TYPE_CHECKING:
    from starlette.types import Scope

MAX_BODY = 2 * 2**20


class WireErrorBody(BaseModel):
    """An error as AWS SDKs read it; its name is also in the header x-amzn-ErrorType."""

    type: str = Field(alias="__type", description="such as InvalidInputException")
    message: str


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": WireErrorBody, "description": "The request is not valid, or not allowed."},
    403: {"model": WireErrorBody, "description": "The signature or the key is missing or wrong."},
    404: {"model": WireErrorBody, "description": "The ARN names nothing here."},
    503: {
        "model": WireErrorBody,
        "description": "A dependency is not reachable; SDKs send the request again.",
    },
}
"""The errors of a route that speaks an AWS protocol."""


class RestJson:
    """Operations by path: personalize-events and personalize-runtime."""

    def __init__(self, authenticator: Authenticator, operations: Mapping[str, Operation[Any]]) -> None:
        """`operations` maps a path, such as `/events`, to its operation."""
        self._authenticator = authenticator
        self._operations = dict(operations)

    @property
    def paths(self) -> Container[str]:
        """Return the paths that have an operation."""
        return self._operations

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a raw ASGI request, for busy routes that bypass FastAPI."""
        return await answer(REST_JSON, self._operation(scope), scope, body, self._authenticator)

    def _operation(self, scope: Scope) -> Operation[Any] | None:
        return self._operations.get(scope["path"])

    def router(self) -> APIRouter:
        """Return a POST route for each operation."""
        router = APIRouter(tags=["Amazon Personalize"])
        for path, operation in self._operations.items():
            router.add_api_route(
                path,
                self._route,
                methods=["POST"],
                operation_id=operation.name,
                summary=f"{operation.name}: declined" if operation.declined else operation.name,
                description=operation.declined,
                response_class=Response,
                responses=ERRORS,
                openapi_extra=documented(operation.request),
            )
        return router

    async def _route(self, request: Request) -> Response:
        return await respond(request, REST_JSON, self._operation(request.scope), self._authenticator)


class Json11:
    """Operations by the header `X-Amz-Target: <service>.<Operation>`, all at `/`: the control plane.

    Forms at the same path are operations of `forms`.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        operations: Iterable[Operation[Any]],
        service: str = "AmazonPersonalize",
        forms: Query | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._forms = forms
        self._operations = {f"{service}.{op.name}".encode(): op for op in operations}

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a raw ASGI request."""
        return await answer(JSON_11, self._operation(scope), scope, body, self._authenticator)

    def _operation(self, scope: Scope) -> Operation[Any] | None:
        return self._operations.get(dict(scope["headers"]).get(b"x-amz-target", b""))

    def router(self) -> APIRouter:
        """Return the single route."""
        router = APIRouter(tags=["Amazon Personalize"])
        router.add_api_route(
            "/",
            self._route,
            methods=["POST"],
            operation_id="personalize",
            summary="Amazon Personalize, by the header X-Amz-Target",
            description="AWS JSON 1.1; docs/operations.md lists the operations.",
            response_class=Response,
            responses=ERRORS,
        )
        return router

    async def _route(self, request: Request) -> Response:
        headers = request.headers
        is_form = headers.get("content-type", "").startswith(FORM.decode()) and "x-amz-target" not in headers
        if self._forms is not None and is_form:
            return await _respond_to_form(request, self._forms, self._authenticator)
        return await respond(request, JSON_11, self._operation(request.scope), self._authenticator)


async def respond(
    request: Request, protocol: Protocol, operation: Operation[Any] | None, authenticator: Authenticator
) -> Response:
    """Return the response to a request of an operation; None for an operation that does not exist."""
    try:
        if declared_bytes(request.scope) > SMALL_BODY_BYTES:
            await authenticator.check_headers(request.scope, operation.scope if operation else None)
        body = await read_body(request, MAX_BODY)
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001 - every error becomes an answer
        answered = error_answer(protocol, error, str(uuid.uuid4()))
    else:
        answered = await answer(protocol, operation, request.scope, body, authenticator)
    return response_of(answered)


async def _respond_to_form(request: Request, forms: Query, authenticator: Authenticator) -> Response:
    try:
        if declared_bytes(request.scope) > SMALL_BODY_BYTES:
            await authenticator.check_headers(request.scope)
        body = await read_body(request, MAX_BODY)
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001 - every error becomes an answer
        return response_of(forms.error(error, request_id=str(uuid.uuid4())))
    return response_of(await forms.answer(request.scope, body))


def response_of(answered: Answer) -> Response:
    """Return an answer as Starlette's response."""
    response = Response(answered.body, answered.status)
    response.raw_headers = [*answered.headers, (b"content-length", str(len(answered.body)).encode())]
    return response
