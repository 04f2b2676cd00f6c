"""AWS JSON 1.0 and 1.1, and REST-JSON: read the body of a request, write that of a reply or of an error.

https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from shared.aws.arns import Arn
from shared.aws.errors import JSON_11_STATUS, REST_JSON_STATUS, WireError, invalid_input
from shared.aws.members import WireModel, to_epoch

Model = TypeVar("Model", bound=BaseModel)
Request = TypeVar("Request", bound=WireModel)
Reply = BaseModel | Mapping[str, Any] | None

_MAX_PROBLEMS: Final = 5
"""Problems that the message of one ValidationError names; arbitrary."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """The differences of the protocols, apart from how a request names its operation.

    `statuses` maps error codes to HTTP statuses; a code that it does not hold is a 400. `codes` maps codes of
    Personalize, such as InvalidInputException, to those that a service has for the same error.
    """

    content_type: bytes
    statuses: Mapping[str, int]
    codes: Mapping[str, str] = field(default_factory=dict)

    def status(self, error: WireError) -> int:
        """Return the HTTP status of an error."""
        return self.statuses.get(error.code, 400)

    def of_service(self, error: WireError) -> WireError:
        """Return an error with the code that the service has for it."""
        code = self.codes.get(error.code)
        if code is None:
            return error
        return WireError(code, error.message, retry_after=error.retry_after, members=error.members)


JSON_10_TYPE: Final = b"application/x-amz-json-1.0"
JSON_11_TYPE: Final = b"application/x-amz-json-1.1"
JSON_11: Final = Protocol(JSON_11_TYPE, JSON_11_STATUS)
REST_JSON: Final = Protocol(b"application/json", REST_JSON_STATUS)


def parse(model: type[Request], body: bytes) -> Request:
    """Parse the body of a request; an empty body and `null` count as `{}`.

    Raises WireError InvalidInputException if the body is not JSON or does not fit the model.
    """
    try:
        document = orjson.loads(body) if body else {}
    except ValueError as error:
        raise invalid_input(f"The body is not valid JSON: {error}.") from None
    return validated(model, {} if document is None else document)


def validated(model: type[Model], document: object) -> Model:
    """Return the members of a request as its model.

    Raises WireError InvalidInputException if they do not fit.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid_input(_problems(error)) from None


def encode(reply: Reply) -> bytes:
    """Return a reply as JSON with times in seconds since 1970; an empty body for None."""
    if reply is None:
        return b""
    if isinstance(reply, BaseModel):
        reply = reply.model_dump(by_alias=True, exclude_none=True)
    options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
    return orjson.dumps(reply, default=_encoded, option=options)


def encode_error(error: WireError) -> bytes:
    """Return an error as JSON, in the members that all AWS SDKs read."""
    return orjson.dumps({"__type": error.code, "message": error.message, **error.members})


def _encoded(value: object) -> float | dict[str, Any] | str:
    match value:
        case datetime():
            return to_epoch(value)
        case BaseModel():
            return value.model_dump(by_alias=True, exclude_none=True)
        case Arn():
            return str(value)
    raise TypeError


def _problems(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    places = [problem["loc"] for problem in problems]
    # Pydantic also reports a list with invalid entries as too short, since it counts the valid ones.
    problems = [
        problem
        for problem in problems
        if problem["type"] != "too_short" or not any(_is_inside(place, problem["loc"]) for place in places)
    ]
    shown = [
        f"{'.'.join(map(str, problem['loc'])) or 'the body'}: {_sentence(problem['msg'])}"
        for problem in problems[:_MAX_PROBLEMS]
    ]
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    return f"{count}: {'; '.join(shown)}"


def _is_inside(place: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _sentence(message: str) -> str:
    """Return a message of pydantic with Python's types replaced by those of JSON."""
    sentence = message.removeprefix("Value error, ").replace("Tuple", "List")
    if sentence.startswith("Value should have"):
        sentence = sentence.replace("item", "character")
    return sentence.replace(" after validation", "")
