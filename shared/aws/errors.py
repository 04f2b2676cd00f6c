"""Typed errors: a client sees `client.exceptions.<Code>`, whichever protocol carried it."""

from __future__ import annotations

from shared.errors import EndcapError

# HTTP status of the codes that are not 400. The exceptions that an operation declares, and those of the
# caller's credentials, are 400 in JSON 1.1 (as DynamoDB, Cognito, ECS answer) and have a status of their own
# in REST-JSON (as Lambda answers). boto3 repeats a request on 429, 500 and 503 whatever the code, so no error
# that will stay may have one of these.
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
    """An error by the name that Personalize gives it, such as InvalidInputException."""

    def __init__(self, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = str(self)
        self.retry_after = retry_after


def invalid_input(message: str) -> WireError:
    """The request will never work as it is."""
    return WireError("InvalidInputException", message)


def not_found(message: str) -> WireError:
    """The ARN names nothing here."""
    return WireError("ResourceNotFoundException", message)
