"""The client of the Personalize API: its authentication, and the meaning of its errors."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from services.trainer.settings import Settings

EXISTS = "ResourceAlreadyExistsException"
MISSING = "ResourceNotFoundException"
RETRYABLE = {
    "InternalFailure",
    "LimitExceededException",
    "ResourceInUseException",
    "ServiceUnavailable",
    "ThrottlingException",
    "TooManyRequestsException",
}
"""Error codes of calls that may succeed later; LimitExceededException is a full queue."""
SERVER_ERROR = 500

TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
"""The tenant that a call is made for, in the thread of the call."""


def client(settings: Settings) -> Any:
    """Return a client; its calls to the engine have the service key and the tenant of `TENANT`."""
    service_key = settings.auth.endcap_service_key
    secret = settings.s3.aws_secret_access_key
    at_engine = service_key is not None and not settings.amazon
    made: Any = boto3.client(
        "personalize",
        endpoint_url=settings.personalize.aws_endpoint_url_personalize or None,
        region_name=settings.s3.aws_region,
        aws_access_key_id=settings.s3.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"max_attempts": 5, "mode": "standard"},
            signature_version=UNSIGNED if at_engine else None,
        ),
    )
    if service_key is not None and at_engine:
        headers = _Headers(service_key.get_secret_value())
        made.meta.events.register("before-call.personalize", headers.add)
    return made


class _Headers:
    """Adds the service key and the tenant to the requests of a client, instead of a signature."""

    def __init__(self, service_key: str) -> None:
        self._service_key = service_key

    def add(self, params: dict[str, Any], **_: Any) -> None:
        """Add the headers; botocore calls this before each call, in the thread that makes it."""
        params["headers"] |= {"x-api-key": self._service_key, "x-endcap-tenant": TENANT.get()}


class AlreadyExists(Permanent):
    """A resource of this name exists."""


def translated(error: ClientError) -> Permanent | Transient:
    """Return an error of the API as Transient if the same call may succeed later, else as Permanent."""
    code = error.response["Error"]["Code"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = (
        f"the Personalize API refused {error.operation_name}: {code}: {error.response['Error']['Message']}"
    )
    if code == EXISTS:
        return AlreadyExists(message)
    if code in RETRYABLE or status >= SERVER_ERROR:
        return Transient(message)
    return Permanent(message)
