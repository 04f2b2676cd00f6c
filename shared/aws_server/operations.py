"""One request of an AWS protocol, from bytes to bytes: authenticate, parse, call the handler, encode."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic

import structlog

from shared.auth import Authenticator, AuthError, Principal, Scope
from shared.aws.errors import WireError, invalid_input
from shared.aws.protocols import Protocol, Reply, Request, encode, encode_error, parse
from shared.errors import ApiError, Permanent, Transient
from shared.events.values import LONGEST_ID
from shared.postgres import UNAVAILABLE, refusal

if TYPE_CHECKING:
    from starlette.types import Scope as AsgiScope

RawHeaders = list[tuple[bytes, bytes]]

RETRY_SECONDS: Final = 1
"""The `Retry-After` of a 503, like that of the REST API; arbitrary."""

_API_ERROR_CODES: Final = {429: "ThrottlingException", 503: "ServiceUnavailable"}
_REGION: Final = re.compile(rb"Credential=[^/]+/\d{8}/([a-z0-9-]{1,32})/")
_LONGEST_INVOCATION_ID: Final = LONGEST_ID  # SDKs send a UUID of 36 characters

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Call:
    """The facts about a request besides its body, for its handler.

    `invocation_id` (header amz-sdk-invocation-id) is the same for every attempt that an SDK makes at one
    call; `region` is the one in the caller's signature. A handler may add raw headers to `answer_headers`.
    """

    principal: Principal
    request_id: str
    invocation_id: str | None = None
    region: str | None = None
    answer_headers: RawHeaders = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Operation(Generic[Request]):
    """An operation: its name, its request model, the scopes that it needs (all of them), and its handler.

    `declined` is the message of an operation that always fails because Endcap does not support it.
    """

    name: str
    request: type[Request]
    scope: Scope
    handle: Callable[[Call, Request], Awaitable[Reply]]
    declined: str = ""
    also_needs: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response: its status, raw headers and body, as ASGI sends them."""

    status: int
    headers: RawHeaders
    body: bytes


async def answer(
    protocol: Protocol,
    operation: Operation[Any] | None,
    scope: AsgiScope,
    body: bytes,
    authenticator: Authenticator,
) -> Answer:
    """Answer a request: authenticate it, parse it, call the handler, and encode its reply or the error."""
    request_id = str(uuid.uuid4())
    try:
        principal = await authenticator.of_scope(scope, body)
        known = _existing(operation)
        for scope_name in known.also_needs:
            principal.may(scope_name)
        authenticator.admit(principal, known.scope)
        request = parse(known.request, body)
        call = call_of(scope, principal, request_id)
        reply = await known.handle(call, request)
    except Exception as error:  # noqa: BLE001 - every error becomes an answer
        return error_answer(protocol, error, request_id)
    return Answer(200, [*_headers(protocol, request_id), *call.answer_headers], encode(reply))


def error_answer(protocol: Protocol, exception: Exception, request_id: str) -> Answer:
    """Return the answer to a request that failed, as AWS SDKs read it."""
    error = protocol.of_service(as_wire_error(exception))
    headers = _headers(protocol, request_id)
    headers.append((b"x-amzn-errortype", error.code.encode()))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    return Answer(protocol.status(error), headers, encode_error(error))


def as_wire_error(error: Exception) -> WireError:
    """Return any error as one with a code that AWS SDKs know; an unexpected one is logged."""
    match error:
        case WireError():
            return error
        case AuthError():
            return WireError(error.aws_code, error.detail)
        case ApiError() if error.status in _API_ERROR_CODES:
            return WireError(_API_ERROR_CODES[error.status], error.detail, retry_after=error.retry_after)
        case ApiError() | Permanent():
            return invalid_input(str(error))
        case _ if isinstance(error, (Transient, *UNAVAILABLE)):
            log.warning("personalize.dependency_away", error=repr(error))
            message = "A dependency is not reachable right now; send the same request again in a moment."
            return WireError("ServiceUnavailable", message, retry_after=RETRY_SECONDS)
        case _:
            return _unexpected(error)


def _unexpected(error: Exception) -> WireError:
    """Return InvalidInputException for a value that Postgres can't store, else InternalFailure."""
    if (why := refusal(error)) is not None:
        log.warning("personalize.value_refused", error=repr(error))
        return invalid_input(why)
    log.error("personalize.unexpected_error", exc_info=error)
    return WireError("InternalFailure", "An unexpected error; it is in the service's log.")


def _existing(operation: Operation[Any] | None) -> Operation[Any]:
    if operation is None:
        raise WireError("UnknownOperationException", "No operation of this name exists here.")
    return operation


def call_of(scope: AsgiScope, principal: Principal, request_id: str) -> Call:
    """Return the facts about a request; raises WireError for an invocation id that is too long."""
    headers = dict(scope["headers"])
    invocation = headers.get(b"amz-sdk-invocation-id")
    if invocation is not None and len(invocation) > _LONGEST_INVOCATION_ID:
        raise invalid_input(
            f"The header amz-sdk-invocation-id has {len(invocation)} characters; "
            f"{_LONGEST_INVOCATION_ID} are allowed."
        )
    region = _REGION.search(headers.get(b"authorization", b""))
    return Call(
        principal,
        request_id,
        invocation.decode("latin-1") if invocation else None,
        region[1].decode() if region else None,
    )


def _headers(protocol: Protocol, request_id: str) -> RawHeaders:
    return [(b"content-type", protocol.content_type), (b"x-amzn-requestid", request_id.encode())]


def declined(name: str, request: type[Any]) -> Operation[Any]:
    """Return an operation of Personalize that Endcap does not support; each call of it fails.

    Its handler raises WireError InvalidInputException.
    """
    message = f"{name} is not supported by Endcap: it has no actions, only items."

    async def handle(*_: object) -> None:
        raise invalid_input(message)

    return Operation(name, request, "read", handle, declined=message)
