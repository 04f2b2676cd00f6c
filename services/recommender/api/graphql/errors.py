"""Errors in the formats of AWS AppSync."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import GraphQLError

if TYPE_CHECKING:
    from graphql import Node

MALFORMED: Final = "MalformedHttpRequestException"
UNPARSABLE: Final = "Unable to parse GraphQL query."
BAD_REQUEST: Final = "BadRequestException"
UNAUTHORIZED: Final = "UnauthorizedException"


class RequestError(Exception):
    """The request is refused as a whole: an HTTP status other than 200, and one error without data."""

    def __init__(self, status: int, error_type: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.retry_after = retry_after

    @property
    def document(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"errors": [{"errorType": self.error_type, "message": str(self)}]}

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers besides the length."""
        headers = [
            (b"content-type", b"application/json"),
            (b"x-amzn-errortype", self.error_type.encode()),
        ]
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after))
        if self.status == 413:
            headers.append((b"connection", b"close"))
        return headers

    @property
    def body(self) -> bytes:
        """Return the encoded document."""
        return orjson.dumps(self.document)


def malformed(message: str) -> RequestError:
    """Return the error 400 for a request that is not a GraphQL request, or exceeds a limit."""
    return RequestError(400, MALFORMED, message)


class FieldError(Exception):
    """A root field has no value: its error stands beside `null` in an answer with status 200."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def field_error(error: FieldError, path: Sequence[str | int], node: Node | None) -> dict[str, Any]:
    """Return the error of a root field."""
    return {
        "path": [*path],
        "data": None,
        "errorType": error.error_type,
        "errorInfo": None,
        "locations": locations(node),
        "message": str(error),
    }


def locations(node: Node | None) -> list[dict[str, Any]]:
    """Return where a node begins in its document; nothing without a node."""
    token = node.loc.start_token if node is not None and node.loc is not None else None
    return [] if token is None else [{"line": token.line, "column": token.column, "sourceName": None}]


def refusal(message: str, node: Node | None) -> dict[str, Any]:
    """Return the error of a document or of variables that are not valid."""
    return {"path": None, "locations": locations(node), "message": message}


def of_graphql(error: GraphQLError) -> dict[str, Any]:
    """Return an error of graphql-core that is neither of validation nor of a resolver."""
    return refusal(error.message, error.nodes[0] if error.nodes else None)
