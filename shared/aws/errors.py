"""Errors with a code, which AWS SDKs raise as `client.exceptions.<Code>` in every protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import EndcapError

# HTTP statuses of the codes that are not 400. The exceptions of an operation and of credentials are 400 in
# JSON 1.1 (as in DynamoDB, Cognito, ECS) and have their own status in REST-JSON (as in Lambda). boto3 repeats
# a request on 429, 500 and 503 whatever the code, so a permanent error must not have one of these.
_COMMON = {
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}
JSON_11_STATUS = _COMMON
REST_JSON_STATUS = {
    **_COMMON,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "UnrecognizedClientException": 403,
    "ResourceNotFoundException": 404,
    "ResourceInUseException": 409,
}


class WireError(EndcapError):
    """An error with a code of AWS, such as InvalidInputException.

    `retry_after` is in seconds and becomes the header Retry-After. `members` are further members of its body.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after: int | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = str(self)
        self.retry_after = retry_after
        self.members = dict(members or {})


def invalid_input(message: str) -> WireError:
    """Return the error for an invalid request, which a retry won't help."""
    return WireError("InvalidInputException", message)


def not_found(message: str) -> WireError:
    """Return the error for an ARN of a resource that does not exist."""
    return WireError("ResourceNotFoundException", message)
