"""Answer operations of the Query protocol: IAM and STS, which share the route `POST /` with JSON 1.1."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.auth import SCOPES, SIGNED_FOR, Authenticator, Principal, Scope
from shared.aws.errors import WireError
from shared.aws.protocols import validated
from shared.aws.query import CONTENT_TYPE, QueryModel, encode_answer, encode_query_error, parse_form
from shared.aws_server.operations import Answer, as_wire_error

if TYPE_CHECKING:
    from starlette.types import Scope as AsgiScope

_NO_NAMESPACE: Final = "https://endcap.example/doc/"


@dataclass(frozen=True, slots=True)
class QueryOperation:
    """An operation: its `Action`, the service of AWS it is of, its request model, scope and handler.

    Without `scope` any known caller may call it.
    """

    name: str
    service: str
    namespace: str
    request: type[QueryModel]
    scope: Scope | None
    handle: Callable[[Principal, Any], Awaitable[Mapping[str, Any] | None]]


class Query:
    """Operations by the parameter `Action` of a form."""

    def __init__(self, authenticator: Authenticator, operations: Iterable[QueryOperation]) -> None:
        self._authenticator = authenticator
        self._operations = {operation.name: operation for operation in operations}
        self._signed_for = frozenset(operation.service for operation in self._operations.values())

    async def answer(self, scope: AsgiScope, body: bytes) -> Answer:
        """Answer a request: authenticate, parse, call the handler, and encode its reply or the error."""
        request_id = str(uuid.uuid4())
        namespace = _NO_NAMESPACE
        try:
            scope[SIGNED_FOR] = self._signed_for
            principal = await self._authenticator.of_scope(scope, body)
            parameters = parse_form(body)
            operation = self._operation(parameters.get("Action"))
            namespace = operation.namespace
            self._authenticator.admit(principal, operation.scope or _own_scope(principal))
            reply = await operation.handle(principal, validated(operation.request, parameters))
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            return self.error(error, namespace, request_id=request_id)
        content = encode_answer(operation.name, namespace, reply, request_id)
        return Answer(200, _headers(request_id), content)

    def error(self, exception: Exception, namespace: str = _NO_NAMESPACE, *, request_id: str) -> Answer:
        """Return the answer to a request that failed."""
        error = as_wire_error(exception)
        status, content = encode_query_error(error, namespace, request_id)
        headers = _headers(request_id)
        if error.retry_after is not None:
            headers.append((b"retry-after", str(error.retry_after).encode()))
        return Answer(status, headers, content)

    def _operation(self, action: object) -> QueryOperation:
        operation = self._operations.get(action) if isinstance(action, str) else None
        if operation is None:
            names = ", ".join(sorted(self._operations))
            raise WireError("InvalidAction", f"Endcap answers no such action. It answers these: {names}.")
        return operation


def _own_scope(principal: Principal) -> Scope:
    """Return a scope that the caller has, for an operation that needs none."""
    own: list[Scope] = [scope for scope in SCOPES if scope in principal.scopes]
    return own[0] if own else "read"


def _headers(request_id: str) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", CONTENT_TYPE), (b"x-amzn-requestid", request_id.encode())]
