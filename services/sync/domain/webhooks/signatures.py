"""Signatures of webhooks: HMAC of the raw body, and detached JWS (RFC 7515, appendix F)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

Encoding = Literal["hex", "base64"]
Algorithm = Literal["sha256", "sha512", "sha1"]

MAX_SIGNATURE = 8_192
"""Characters of a signature; an RSA signature of 8,192 bits has 1,366."""

_DIGESTS: Final = {"sha256": hashlib.sha256, "sha512": hashlib.sha512, "sha1": hashlib.sha1}
_HEX = re.compile(r"[0-9a-fA-F]+")


def is_hmac(
    signature: str | None,
    body: bytes,
    secrets: Sequence[str],
    encoding: Encoding,
    algorithm: Algorithm = "sha256",
) -> bool:
    """Return whether a signature is the HMAC of the body with one of the secrets, in constant time."""
    claimed = _decoded(signature, encoding)
    if claimed is None:
        return False
    digest = _DIGESTS[algorithm]
    checks = [hmac.compare_digest(claimed, hmac.new(key.encode(), body, digest).digest()) for key in secrets]
    return any(checks)


def is_jws(signature: str | None, body: bytes, keys: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a detached JWS of the body was made with one of the RSA keys (JWK, RFC 7517), by RS256.

    No other algorithm is accepted, whatever the header of the signature says.
    """
    if signature is None or len(signature) > MAX_SIGNATURE or signature.count(".") != 2:
        return False
    header_part, payload_part, signature_part = signature.split(".")
    header, signed = _json(header_part), _base64(signature_part, urlsafe=True)
    if payload_part or header is None or signed is None or header.get("alg") != "RS256":
        return False
    critical = header.get("crit", [])
    if critical not in ([], ["b64"]):
        return False
    # RFC 7797: with `b64` false the payload is signed as it is.
    is_plain = header.get("b64") is False and critical == ["b64"]
    payload = body if is_plain else base64.urlsafe_b64encode(body).rstrip(b"=")
    message = header_part.encode() + b"." + payload
    chosen = [key for key in keys if header.get("kid") in {None, key.get("kid")}]
    return any(_verifies(key, signed, message) for key in chosen)


def _verifies(jwk: Mapping[str, Any], signature: bytes, message: bytes) -> bool:
    if jwk.get("kty") != "RSA" or jwk.get("use", "sig") != "sig":
        return False
    modulus, exponent = _integer(jwk.get("n")), _integer(jwk.get("e"))
    if modulus is None or exponent is None or modulus.bit_length() < 2048:
        return False
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        key.verify(signature, message, padding.PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _decoded(signature: str | None, encoding: Encoding) -> bytes | None:
    if signature is None or len(signature) > MAX_SIGNATURE:
        return None
    if encoding == "hex":
        is_hex = len(signature) % 2 == 0 and _HEX.fullmatch(signature)
        return bytes.fromhex(signature) if is_hex else None
    return _base64(signature, urlsafe=False)


def _base64(text: str, *, urlsafe: bool) -> bytes | None:
    try:
        padded = text + "=" * (-len(text) % 4) if urlsafe else text
        return base64.b64decode(padded, altchars=b"-_" if urlsafe else None, validate=True)
    except (binascii.Error, ValueError):
        return None


def _integer(text: Any) -> int | None:
    decoded = _base64(text, urlsafe=True) if isinstance(text, str) else None
    return int.from_bytes(decoded, "big") if decoded else None


def _json(part: str) -> dict[str, Any] | None:
    decoded = _base64(part, urlsafe=True)
    try:
        document = orjson.loads(decoded or b"")
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
