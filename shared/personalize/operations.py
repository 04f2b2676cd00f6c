"""One request of the Personalize protocol, from bytes to bytes: who, which operation, checked, answered."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson
import structlog
from pydantic import BaseModel, ValidationError

from shared.auth import Authenticator, AuthError, Principal, Scope
from shared.errors import ApiError, Permanent, Transient
from shared.events.values import LONGEST_ID
from shared.personalize.arns import Arn
from shared.personalize.errors import WireError, invalid_input
from shared.personalize.members import WireModel, to_epoch
from shared.postgres import UNAVAILABLE, refusal

if TYPE_CHECKING:
    from starlette.types import Scope as AsgiScope

Request = TypeVar("Request", bound=WireModel)
Reply = BaseModel | Mapping[str, Any] | None
RawHeaders = list[tuple[bytes, bytes]]

RETRY_SECONDS = 1
_API_ERROR_CODES = {429: "ThrottlingException", 503: "ServiceUnavailable"}
_REGION = re.compile(rb"Credential=[^/]+/\d{8}/([a-z0-9-]{1,32})/")
_LONGEST_INVOCATION_ID = LONGEST_ID  # SDKs send a UUID of 36 characters

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler knows of a request beside its body.

    `invocation_id` (header amz-sdk-invocation-id) is the same for every attempt that an SDK makes at one
    call; `region` is that of the caller's signature. A handler may add raw headers for its answer.
    """

    principal: Principal
    request_id: str
    invocation_id: str | None = None
    region: str | None = None
    answer_headers: RawHeaders = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Operation(Generic[Request]):
    """An operation: its name, what it takes, which scopes it needs (all of them), and who answers it.

    One that is `declined` answers with that sentence.
    """

    name: str
    request: type[Request]
    scope: Scope
    handle: Callable[[Call, Request], Awaitable[Reply]]
    declined: str = ""
    also_needs: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, raw headers and a body: what ASGI sends."""

    status: int
    headers: RawHeaders
    body: bytes


@dataclass(frozen=True, slots=True)
class Protocol:
    """What JSON 1.1 and REST-JSON differ in, beside how they name the operation."""

    content_type: bytes
    statuses: Mapping[str, int]


async def answer(
    protocol: Protocol,
    operation: Operation[Any] | None,
    scope: AsgiScope,
    body: bytes,
    authenticator: Authenticator,
) -> Answer:
    """Authenticate, parse, check, call, and write the reply or the error."""
    request_id = str(uuid.uuid4())
    try:
        principal = await authenticator.of_scope(scope, body)
        known = _existing(operation)
        for needed in known.also_needs:
            principal.may(needed)
        authenticator.admit(principal, known.scope)
        request = parse(known.request, body)
        call = _call(scope, principal, request_id)
        reply = await known.handle(call, request)
    except Exception as error:  # noqa: BLE001 - every error becomes an answer
        return failed(protocol, error, request_id)
    return Answer(200, [*_headers(protocol, request_id), *call.answer_headers], encode(reply))


def parse(model: type[Request], body: bytes) -> Request:
    """The request in a body; an empty one and `null` count as `{}`. InvalidInputException if it is wrong."""
    try:
        document = orjson.loads(body) if body else {}
        return model.model_validate({} if document is None else document)
    except ValidationError as error:
        raise invalid_input(_what_is_wrong(error)) from None
    except ValueError as error:
        raise invalid_input(f"The body is no valid JSON: {error}.") from None


def encode(reply: Reply) -> bytes:
    """A reply as JSON, its times as seconds since 1970; nothing at all for None."""
    if reply is None:
        return b""
    if isinstance(reply, BaseModel):
        reply = reply.model_dump(by_alias=True, exclude_none=True)
    options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
    return orjson.dumps(reply, default=_encoded, option=options)


def as_wire_error(error: Exception) -> WireError:
    """Any error by the name that an AWS client understands."""
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
    """InvalidInputException where Postgres can't hold a value, else a fault of ours."""
    if (why := refusal(error)) is not None:
        log.warning("personalize.value_refused", error=repr(error))
        return invalid_input(why)
    log.error("personalize.unexpected_error", exc_info=error)
    return WireError("InternalFailure", "An unexpected error; it is in the service's log.")


def _existing(operation: Operation[Any] | None) -> Operation[Any]:
    if operation is None:
        raise WireError("UnknownOperationException", "No operation of this name exists here.")
    return operation


def _call(scope: AsgiScope, principal: Principal, request_id: str) -> Call:
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


def failed(protocol: Protocol, raised: Exception, request_id: str) -> Answer:
    """Any error as the answer that an AWS client understands."""
    error = as_wire_error(raised)
    headers = _headers(protocol, request_id)
    headers.append((b"x-amzn-errortype", error.code.encode()))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    body = {"__type": error.code, "message": error.message}
    return Answer(protocol.statuses.get(error.code, 400), headers, orjson.dumps(body))


def _headers(protocol: Protocol, request_id: str) -> RawHeaders:
    return [(b"content-type", protocol.content_type), (b"x-amzn-requestid", request_id.encode())]


def _encoded(value: object) -> float | dict[str, Any] | str:
    match value:
        case datetime():
            return to_epoch(value)
        case BaseModel():
            return value.model_dump(by_alias=True, exclude_none=True)
        case Arn():
            return str(value)
    raise TypeError


def _what_is_wrong(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    places = [problem["loc"] for problem in problems]
    # A list whose entries are wrong is also said to be too short: it has no good ones.
    problems = [
        problem
        for problem in problems
        if problem["type"] != "too_short" or not any(_is_inside(place, problem["loc"]) for place in places)
    ]
    shown = [
        f"{'.'.join(map(str, each['loc'])) or 'the body'}: {_sentence(each['msg'])}" for each in problems[:5]
    ]
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    return f"{count}: {'; '.join(shown)}"


def _is_inside(place: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _sentence(message: str) -> str:
    """What pydantic says, in the words of who sends JSON."""
    said = message.removeprefix("Value error, ").replace("Tuple", "List")
    if said.startswith("Value should have"):
        said = said.replace("item", "character")
    return said.replace(" after validation", "")
