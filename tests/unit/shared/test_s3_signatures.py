"""Signatures for S3, as botocore makes them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shared.auth import AuthError, Principal, s3_key_pair
from shared.auth.keys import KeyPair

PAIR = KeyPair(Principal(None, "000000000000", frozenset({"admin"}), "sigv4", "AKIATEST"), "secret")


class Pairs:
    """Knows one key pair."""

    async def key_pair(self, _: object) -> KeyPair:
        return PAIR


def scope(body: bytes, *, secret: str = "secret", service: str = "s3") -> dict[str, Any]:
    """A signed request to set the policy of a bucket, as ASGI has it."""
    request = AWSRequest("PUT", "http://127.0.0.1:8080/a.b-c?policy", data=body)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    request.context["client_config"] = None
    signer(Credentials("AKIATEST", secret), service, "eu-west-1").add_auth(request)
    headers = [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()]
    headers.append((b"host", b"127.0.0.1:8080"))
    return {"method": "PUT", "query_string": b"policy", "headers": headers}


async def test_a_signature_of_botocore_is_accepted() -> None:
    pair = await s3_key_pair(Pairs(), scope(b"{}"), "/a.b-c", b"{}")  # type: ignore[arg-type]

    assert pair is PAIR


@pytest.mark.parametrize(
    ("signed", "path", "body"),
    [
        (scope(b"{}", secret="other"), "/a.b-c", b"{}"),
        (scope(b"{}"), "/another", b"{}"),
        (scope(b"{}"), "/a.b-c", b"[]"),
        (scope(b"{}", service="personalize"), "/a.b-c", b"{}"),
        ({**scope(b"{}"), "query_string": b"acl"}, "/a.b-c", b"{}"),
        ({**scope(b"{}"), "headers": []}, "/a.b-c", b"{}"),
    ],
    ids=["secret", "path", "body", "service", "query", "unsigned"],
)
async def test_any_other_is_refused(signed: dict[str, Any], path: str, body: bytes) -> None:
    with pytest.raises(AuthError):
        await s3_key_pair(Pairs(), signed, path, body)  # type: ignore[arg-type]
