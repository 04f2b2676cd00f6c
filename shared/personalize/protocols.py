"""The two ways an AWS SDK says which operation it means: a header (JSON 1.1) or the path (REST-JSON)."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from shared.auth import Authenticator
from shared.body import documented, read_body
from shared.http import SMALL_BODY_BYTES, declared_bytes
from shared.personalize.errors import JSON_11_STATUS, REST_JSON_STATUS, invalid_input
from shared.personalize.operations import Answer, Operation, Protocol, answer, failed

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
    503: {"model": WireErrorBody, "description": "A dependency is away; SDKs send the request again."},
}
"""The errors of a route that speaks an AWS protocol."""

_JSON_11 = Protocol(b"application/x-amz-json-1.1", JSON_11_STATUS)
_REST_JSON = Protocol(b"application/json", REST_JSON_STATUS)


class RestJson:
    """Operations by path: personalize-events and personalize-runtime."""

    def __init__(self, authenticator: Authenticator, operations: Mapping[str, Operation[Any]]) -> None:
        """`operations` maps a path, such as `/events`, to what is done there."""
        self._authenticator = authenticator
        self._operations = dict(operations)

    @property
    def paths(self) -> Container[str]:
        """Where something is answered."""
        return self._operations

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a raw ASGI request, for routes too busy for a framework."""
        return await answer(_REST_JSON, self._operation(scope), scope, body, self._authenticator)

    def _operation(self, scope: Scope) -> Operation[Any] | None:
        return self._operations.get(scope["path"])

    def router(self) -> APIRouter:
        """A POST route for each operation."""
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
        return await _respond(request, _REST_JSON, self._operation(request.scope), self._authenticator)


class Json11:
    """Operations by the header `X-Amz-Target: <service>.<Operation>`, all at `/`: the control plane."""

    def __init__(
        self,
        authenticator: Authenticator,
        operations: Iterable[Operation[Any]],
        service: str = "AmazonPersonalize",
    ) -> None:
        self._authenticator = authenticator
        self._operations = {f"{service}.{op.name}".encode(): op for op in operations}

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a raw ASGI request."""
        return await answer(_JSON_11, self._operation(scope), scope, body, self._authenticator)

    def _operation(self, scope: Scope) -> Operation[Any] | None:
        return self._operations.get(dict(scope["headers"]).get(b"x-amz-target", b""))

    def router(self) -> APIRouter:
        """The one route."""
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
        return await _respond(request, _JSON_11, self._operation(request.scope), self._authenticator)


async def _respond(
    request: Request, protocol: Protocol, operation: Operation[Any] | None, authenticator: Authenticator
) -> Response:
    try:
        if declared_bytes(request.scope) > SMALL_BODY_BYTES:
            await authenticator.check_headers(request.scope, operation.scope if operation else None)
        body = await read_body(request, MAX_BODY)
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001 - every error becomes an answer
        given = failed(protocol, error, str(uuid.uuid4()))
    else:
        given = await answer(protocol, operation, request.scope, body, authenticator)
    response = Response(given.body, given.status)
    response.raw_headers = [*given.headers, (b"content-length", str(len(given.body)).encode())]
    return response


def declined(name: str, request: type[Any]) -> Operation[Any]:
    """An operation that exists in Personalize and not here: it says so instead of seeming to work."""
    sentence = f"{name} is not supported by Endcap: it has no actions, only items."

    async def handle(*_: object) -> None:
        raise invalid_input(sentence)

    return Operation(name, request, "read", handle, declined=sentence)
