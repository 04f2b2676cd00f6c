"""Verification of signatures for S3, which signs a path as it is and names the hash of the body in a header.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shared.auth import sigv4
from shared.auth.principal import AuthError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from shared.auth.authenticator import Authenticator
    from shared.auth.keys import KeyPair

_SERVICES: Final = frozenset({"s3"})
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"


async def s3_key_pair(
    authenticator: Authenticator, scope: MutableMapping[str, Any], path: str, body: bytes
) -> KeyPair:
    """Return the key pair that a request for S3 is signed with; `path` is as it was signed.

    Raises AuthError without a valid signature, and ApiError 503 while an unknown key can't be looked up.
    """
    headers = dict(scope["headers"])
    claimed = sigv4.claim(headers.get(b"authorization", b"").decode("latin-1"))
    payload = headers.get(b"x-amz-content-sha256", b"").decode("latin-1")
    if payload not in {_UNSIGNED, hashlib.sha256(body).hexdigest()}:
        detail = "The header x-amz-content-sha256 is not the hash of the body."
        raise AuthError(400, "ContentHashMismatch", detail, aws_code="XAmzContentSHA256Mismatch")
    pair = await authenticator.key_pair(claimed.access_key_id)
    sigv4.verify(
        claimed,
        pair.secret,
        method=scope["method"],
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=scope["headers"],
        body=body,
        now=datetime.now(UTC),
        services=_SERVICES,
        payload_hash=payload,
    )
    return pair
