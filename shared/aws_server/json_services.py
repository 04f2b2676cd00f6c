"""Services of AWS that speak JSON and share the route `POST /`: X-Amz-Target names the operation."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response

from shared.auth import SIGNED_FOR, Authenticator
from shared.aws.errors import JSON_11_STATUS, WireError
from shared.aws.protocols import JSON_11, Protocol, Reply
from shared.aws_server.operations import Answer, Call, Operation, answer, error_answer
from shared.aws_server.routes import ERRORS, respond, response_of
from shared.observability import counter

if TYPE_CHECKING:
    from starlette.types import Scope

CALLS = counter(
    "endcap_aws_calls_total",
    "Calls of services of AWS but Personalize, by service, operation and outcome: ok, or the error's code.",
    ["service", "operation", "outcome"],
)

AWS_TAG: Final = "AWS"
"""The tag of these routes in the OpenAPI page."""


@dataclass(frozen=True, slots=True)
class JsonService:
    """A service of AWS: the prefix of its X-Amz-Target, its name in signatures, its errors and operations.

    `otherwise` answers every operation that `operations` does not contain.
    """

    target: str
    signed_for: str
    content_type: bytes
    codes: Mapping[str, str]
    operations: tuple[Operation[Any], ...]
    otherwise: Operation[Any] | None = None

    @property
    def protocol(self) -> Protocol:
        """Return the protocol with the error codes of the service."""
        return Protocol(self.content_type, JSON_11_STATUS, self.codes)


def counted(service: str, operation: Operation[Any]) -> Operation[Any]:
    """Return an operation whose calls are counted by outcome."""

    async def handle(call: Call, request: Any) -> Reply:
        outcome = "InternalFailure"
        try:
            reply = await operation.handle(call, request)
            outcome = "ok"
        except WireError as error:
            outcome = error.code
            raise
        finally:
            CALLS.labels(service, operation.name, outcome).inc()
        return reply

    return replace(operation, handle=handle)


class JsonServices:
    """Operations of several services of AWS by the header X-Amz-Target, all at `/`."""

    def __init__(self, authenticator: Authenticator, services: Iterable[JsonService]) -> None:
        self._authenticator = authenticator
        self._services = {service.target: (service, service.protocol) for service in services}
        self._operations = {
            f"{service.target}.{operation.name}": counted(service.signed_for, operation)
            for service, _ in self._services.values()
            for operation in service.operations
        }

    @property
    def operations(self) -> Mapping[str, Operation[Any]]:
        """Return the operations by X-Amz-Target."""
        return self._operations

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a raw ASGI request."""
        known = self._service(scope)
        if known is None:
            return self._unknown()
        protocol, operation = known
        return await answer(protocol, operation, scope, body, self._authenticator)

    def _service(self, scope: Scope) -> tuple[Protocol, Operation[Any] | None] | None:
        """Return the protocol and the operation of a request, and set whom it must be signed for."""
        target = dict(scope["headers"]).get(b"x-amz-target", b"").decode("latin-1")
        known = self._services.get(target.rpartition(".")[0])
        if known is None:
            return None
        service, protocol = known
        scope[SIGNED_FOR] = frozenset({service.signed_for})
        return protocol, self._operations.get(target, service.otherwise)

    def _unknown(self) -> Answer:
        names = ", ".join(self._services)
        message = f"The header X-Amz-Target names no operation of this service; it answers {names}."
        return error_answer(JSON_11, WireError("UnknownOperationException", message), str(uuid.uuid4()))

    def router(self) -> APIRouter:
        """Return the single route."""
        router = APIRouter(tags=[AWS_TAG])
        router.add_api_route(
            "/",
            self._route,
            methods=["POST"],
            operation_id="aws",
            summary=f"AWS, by the header X-Amz-Target: {', '.join(sorted(self._services))}",
            description="AWS JSON; docs/from-aws.md lists the operations.",
            response_class=Response,
            responses=ERRORS,
        )
        return router

    async def _route(self, request: Request) -> Response:
        known = self._service(request.scope)
        if known is None:
            return response_of(self._unknown())
        protocol, operation = known
        return await respond(request, protocol, operation, self._authenticator)
