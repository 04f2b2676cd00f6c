"""The Query protocol of AWS, which IAM and STS speak: a form with an `Action`, and an answer in XML.

https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

from shared.aws.errors import WireError

CONTENT_TYPE: Final = b"text/xml"
FORM: Final = b"application/x-www-form-urlencoded"

STATUSES: Final = {
    "AccessDenied": 403,
    "DeleteConflict": 409,
    "EntityAlreadyExists": 409,
    "ExpiredToken": 403,
    "IncompleteSignature": 403,
    "InternalFailure": 500,
    "InvalidClientTokenId": 403,
    "LimitExceeded": 409,
    "MissingAuthenticationToken": 403,
    "NoSuchEntity": 404,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
}
"""HTTP statuses of codes that are not 400."""

_CODES: Final = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidInputException": "ValidationError",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "ThrottlingException": "Throttling",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "UnknownOperationException": "InvalidAction",
}
"""The codes of this protocol for those of the JSON protocols."""

_MAX_PARAMETERS: Final = 1_000
_MAX_DEPTH: Final = 8


class QueryModel(BaseModel):
    """A request: PascalCase on the wire, unknown parameters ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_pascal, populate_by_name=True, defer_build=True
    )


def parse_form(body: bytes) -> dict[str, Any]:
    """Return the parameters of a form; `Tags.member.1.Key` becomes a list of structures.

    Raises WireError ValidationError if it is not a form, or is too large.
    """
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MAX_PARAMETERS
        )
    except ValueError as error:
        raise WireError("ValidationError", f"The body is not a form: {error}.") from None
    root: dict[str, Any] = {}
    for name, value in pairs:
        steps = name.split(".")
        if len(steps) > _MAX_DEPTH:
            raise WireError("ValidationError", f"The parameter {name[:128]} is nested too deeply.")
        _put(root, steps, value)
    return {name: _with_lists(value) for name, value in root.items()}


def encode_answer(operation: str, namespace: str, reply: Mapping[str, Any] | None, request_id: str) -> bytes:
    """Return an answer as XML: None for an operation without a result."""
    result = "" if reply is None else f"<{operation}Result>{_members(reply)}</{operation}Result>"
    return (
        f'<{operation}Response xmlns="{namespace}">{result}<ResponseMetadata>'
        f"<RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()


def encode_query_error(error: WireError, namespace: str, request_id: str) -> tuple[int, bytes]:
    """Return the HTTP status and the XML of an error, with the code that this protocol has for it."""
    code = _CODES.get(error.code, error.code)
    status = STATUSES.get(code, 400)
    sender = "Receiver" if status >= 500 else "Sender"
    members = {"Type": sender, "Code": code, "Message": error.message}
    document = (
        f'<ErrorResponse xmlns="{namespace}"><Error>{_members(members)}</Error>'
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return status, document.encode()


def _put(place: dict[str, Any], steps: list[str], value: str) -> None:
    name, *rest = steps
    if not rest:
        place[name] = value
        return
    below = place.setdefault(name, {})
    if not isinstance(below, dict):
        raise WireError("ValidationError", f"The parameter {name[:128]} is a text and has members.")
    _put(below, rest, value)


def _with_lists(value: Any) -> Any:
    """Return a value in which `{"member": {"1": …, "2": …}}` is a list, in the order of the numbers."""
    if not isinstance(value, dict):
        return value
    members = value.get("member") if len(value) == 1 else None
    if isinstance(members, dict) and all(name.isascii() and name.isdecimal() for name in members):
        return [_with_lists(members[name]) for name in sorted(members, key=int)]
    return {name: _with_lists(each) for name, each in value.items()}


def _members(members: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_element(value)}</{name}>" for name, value in members.items() if value is not None
    )


def _element(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case Mapping():
            return _members(value)
        case list() | tuple():
            return "".join(f"<member>{_element(each)}</member>" for each in value)
    return escape(_without_controls(str(value)))


def _without_controls(text: str) -> str:
    """Return a text without the characters that XML 1.0 can't contain."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
