"""Calls of S3 that the S3 server refuses: buckets with a location, and policies for services of AWS.

The gateway forwards them here, below `/s3/`, signed as the client has signed them for `/`.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from services.engine.domain.bucket_policies import MalformedPolicyError, enforceable, names_services
from services.engine.settings import Settings
from services.engine.store.client_buckets import BucketError, ClientBuckets
from shared.auth import Authenticator, AuthError, s3_key_pair
from shared.aws import WireError
from shared.aws_server.operations import as_wire_error
from shared.http import SMALL_BODY_BYTES
from shared.http.request_bodies import read_body

if TYPE_CHECKING:
    from shared.postgres import Database

PREFIX = "/s3"
_LONGEST_BODY = SMALL_BODY_BYTES

_LOCATION = re.compile(rb"<(?:\w+:)?LocationConstraint>\s*([A-Za-z0-9-]{1,32})\s*</")

_OPTIONS = {
    "x-amz-acl": "ACL",
    "x-amz-object-ownership": "ObjectOwnership",
    "x-amz-grant-full-control": "GrantFullControl",
    "x-amz-grant-read": "GrantRead",
    "x-amz-grant-write": "GrantWrite",
}
"""Headers of CreateBucket, and the names that boto3 has for them."""

_CODES = {
    "AccessDeniedException": ("AccessDenied", 403),
    "IncompleteSignatureException": ("AuthorizationHeaderMalformed", 400),
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "MissingAuthenticationTokenException": ("AccessDenied", 403),
    "ServiceUnavailable": ("ServiceUnavailable", 503),
    "ThrottlingException": ("SlowDown", 503),
    "UnrecognizedClientException": ("InvalidAccessKeyId", 403),
    "InternalFailure": ("InternalError", 500),
}
"""The codes and statuses of S3 for those of other services of AWS; any other error is a 400."""


def router(database: Database, authenticator: Authenticator, settings: Settings) -> APIRouter:
    """Return the routes. They are no API of their own, so the OpenAPI page does not have them."""
    router = APIRouter(include_in_schema=False)

    @router.api_route(f"{PREFIX}/{{bucket}}", methods=["GET", "PUT", "DELETE"], name="buckets")
    @router.api_route(f"{PREFIX}/{{bucket}}/", methods=["GET", "PUT", "DELETE"], name="buckets_slash")
    async def bucket_call(bucket: str, request: Request) -> Response:
        request_id = str(uuid.uuid4())
        try:
            body = await read_body(request, _LONGEST_BODY)
            path = request.scope["raw_path"].decode("latin-1").removeprefix(PREFIX)
            pair = await s3_key_pair(authenticator, request.scope, path, body)
            authenticator.admit(pair.principal, "admin")
            buckets = ClientBuckets.of(pair, settings.s3, database)
            return await _answer(buckets, bucket, request, body)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            return _error(error, bucket, request_id)

    return router


async def _answer(buckets: ClientBuckets, bucket: str, request: Request, body: bytes) -> Response:
    is_policy = "policy" in request.query_params
    match request.method:
        case "PUT" if is_policy:
            text = body.decode("utf-8", "replace")
            await buckets.put_policy(bucket, text, enforceable(text), record=names_services(text))
        case "GET" if is_policy:
            return Response(await buckets.policy(bucket), media_type="application/json")
        case "DELETE" if is_policy:
            await buckets.delete_policy(bucket)
        case "PUT":
            await buckets.create(bucket, _options(request, body))
            return Response(status_code=200, headers={"Location": f"/{bucket}"})
        case _:
            raise WireError("NotImplemented", "The S3 server answers this call; send it to the gateway.")
    return Response(status_code=204)


def _options(request: Request, body: bytes) -> dict[str, Any]:
    """Return the options of CreateBucket but the location. Raises WireError MalformedXML."""
    if body.strip() and _LOCATION.search(body) is None and b"CreateBucketConfiguration" not in body:
        raise WireError("MalformedXML", "The body is no CreateBucketConfiguration.")
    options: dict[str, Any] = {
        option: request.headers[name] for name, option in _OPTIONS.items() if name in request.headers
    }
    if request.headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
        options["ObjectLockEnabledForBucket"] = True
    return options


def _error(error: Exception, bucket: str, request_id: str) -> Response:
    code, status, message = _described(error)
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        f"<BucketName>{escape(bucket)}</BucketName><RequestId>{request_id}</RequestId></Error>"
    )
    return Response(document, status, media_type="application/xml", headers={"x-amz-request-id": request_id})


def _described(error: Exception) -> tuple[str, int, str]:
    """Return the code, status and message of an error as S3 has them."""
    match error:
        case BucketError():
            return error.code, error.status, error.message
        case MalformedPolicyError():
            return "MalformedPolicy", 400, str(error)
        case AuthError() if error.aws_code not in _CODES:
            return error.aws_code, error.status, error.detail
    wire = as_wire_error(error)
    code, status = _CODES.get(wire.code, (wire.code, 501 if wire.code == "NotImplemented" else 400))
    return code, status, wire.message
