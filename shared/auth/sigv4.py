"""Verification of AWS Signature Version 4.

An AWS SDK hashes a canonical form of the request and signs it with a key derived from the secret, the day,
the region and the service. The server computes the same signature and compares.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

from shared.auth.principal import AuthError

RawHeaders = Iterable[tuple[bytes, bytes]]

SKEW = timedelta(minutes=15)
"""The largest difference between the clocks; wider than the five minutes of most AWS services."""
PERSONALIZE = frozenset({"personalize"})
SIGNED_FOR = "endcap.signed_for"
"""The entry of an ASGI scope with the services of AWS that a signature may be for; Personalize without it."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+"
    r"Credential=(?P<access_key_id>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)"
    r"/(?P<service>[^/,\s]+)/aws4_request\s*,\s*"
    r"SignedHeaders=(?P<signed>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})\s*"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """The header `Authorization` of a signed request."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        """Return the credential scope, `<date>/<region>/<service>/aws4_request`."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def claim(authorization: str) -> Claim:
    """Parse the header `Authorization`; raises AuthError if it is incomplete."""
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        detail = (
            "The Authorization header is not a complete AWS4-HMAC-SHA256 signature: it needs Credential, "
            "SignedHeaders and Signature."
        )
        raise AuthError(401, "IncompleteSignature", detail, aws_code="IncompleteSignatureException")
    return Claim(
        match["access_key_id"],
        match["date"],
        match["region"],
        match["service"],
        tuple(match["signed"].split(";")),
        match["signature"],
    )


def verify(
    claimed: Claim,
    secret: str,
    *,
    method: str,
    path: str,
    query: str,
    headers: RawHeaders,
    body: bytes,
    now: datetime,
    services: Collection[str] = PERSONALIZE,
    payload_hash: str | None = None,
) -> None:
    """Verify the signature of a request as sent (`path` and `query` percent-encoded).

    With `payload_hash`, which the caller has checked, the request is one of S3: its path is signed as it is.

    Raises AuthError if it was not signed with `secret`, was signed more than 15 minutes from `now`, or for
    none of the `services`.
    """
    values = _joined(headers)
    signed_at = values.get("x-amz-date", "")
    check_time(claimed, signed_at, now)
    if claimed.service not in services:
        expected = " or ".join(sorted(services))
        raise _mismatch(f"The signature is scoped to {claimed.service}, not to {expected}.")
    required = {"host", "x-amz-date"} | ({"x-amz-target"} & values.keys())
    if missing := sorted(required - set(claimed.signed)):
        raise _mismatch(f"These headers must be among the signed ones: {', '.join(missing)}.")
    canonical = "\n".join(
        (
            method.upper(),
            _canonical_path(path) if payload_hash is None else path,
            _canonical_query(query),
            *(f"{name}:{values.get(name, '')}" for name in claimed.signed),
            "",
            ";".join(claimed.signed),
            hashlib.sha256(body).hexdigest() if payload_hash is None else payload_hash,
        )
    )
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    text = f"{_ALGORITHM}\n{signed_at}\n{claimed.scope}\n{digest}"
    key = _signing_key(secret, claimed.date, claimed.region, claimed.service)
    if not hmac.compare_digest(_sign(key, text).hex(), claimed.signature):
        raise _mismatch(
            "The signature does not match what was sent. Check the secret access key, and that no "
            "proxy changes the Host header, the path or the body."
        )


def check_time(claimed: Claim, signed_at: str, now: datetime) -> None:
    """Check `signed_at`, the header x-amz-date; raises AuthError if it is over 15 minutes from `now`."""
    try:
        at = _parse_time(signed_at)
    except ValueError:
        detail = "A signed request needs the header x-amz-date, such as 20261121T080000Z."
        raise AuthError(401, "IncompleteSignature", detail, aws_code="IncompleteSignatureException") from None
    if abs(now - at) > SKEW:
        detail = (
            f"Signature expired: signed at {at:%Y-%m-%dT%H:%M:%SZ}, and it is {now:%Y-%m-%dT%H:%M:%SZ} here. "
            "The clocks may differ by 15 minutes at most: set yours."
        )
        raise AuthError(401, "RequestExpired", detail, aws_code="InvalidSignatureException")
    if not signed_at.startswith(claimed.date):
        raise _mismatch("The day in the credential scope is not that of x-amz-date.")


@lru_cache(maxsize=1024)
def _parse_time(signed_at: str) -> datetime:
    """Return the time of x-amz-date; ValueError. Cached, since many requests are signed in one second."""
    return datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _mismatch(detail: str) -> AuthError:
    return AuthError(401, "SignatureDoesNotMatch", detail, aws_code="InvalidSignatureException")


def _joined(headers: RawHeaders) -> dict[str, str]:
    """Return lower-case name → value with single blanks; values of repeated headers are joined by commas."""
    values: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        value = " ".join(raw_value.decode("utf-8", "surrogateescape").split())
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _canonical_path(path: str) -> str:
    """Return the normalized path, encoded again; only S3 signs the path as it is."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    if not kept:
        return "/"
    return quote("/" + "/".join(kept) + ("/" if path.endswith("/") else ""), safe="/~")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = sorted(tuple(pair.partition("=")[::2]) for pair in query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)


@lru_cache(maxsize=1024)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """Return the signing key of a day, region and service; cached, since it takes four HMACs."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = _sign(key, part)
    return key


def _sign(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
