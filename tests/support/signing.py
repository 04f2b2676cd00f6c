"""Requests signed by botocore, as AWS's SDKs for Python sign them."""

from __future__ import annotations

from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SECRET = "the secret access key of a test"
BODY = b'{"trackingId": "a", "userId": "J\xc3\xbcrgen"}'


def signed(
    url: str = "http://127.0.0.1:8001/events",
    *,
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    service: str = "personalize",
    secret: str = SECRET,
    access_key_id: str = "ENDCEXAMPLE",
) -> tuple[str, str, list[tuple[bytes, bytes]]]:
    """Return path, query and raw headers of a request that botocore signed."""
    parts = urlsplit(url)
    request = AWSRequest("POST", url, headers={"Host": parts.netloc, **(headers or {})}, data=body)
    SigV4Auth(Credentials(access_key_id, secret), service, "eu-west-1").add_auth(request)
    raw = [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()]
    return parts.path or "/", parts.query, raw
