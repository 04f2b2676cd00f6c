"""ID tokens of OpenID Connect: signatures (RFC 7515, 7517, 7518) and claims (OpenID Connect Core)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

ALGORITHMS: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""The accepted algorithms with the type of their keys. `none` and HMAC are refused: anybody could sign."""

LEEWAY_SECONDS: Final = 60
"""The most that two clocks may differ; arbitrary."""
MAX_CHARACTERS: Final = 32_768
LEAST_RSA_BITS: Final = 2048
_COORDINATE_BYTES: Final = 32

Claims = Mapping[str, Any]
Jwk = Mapping[str, Any]


class InvalidIdToken(ValueError):
    """The token proves nothing; the text says why."""


class UnknownKey(InvalidIdToken):
    """No key of the set fits the token; the issuer may have a new one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The claims that a token must have."""

    issuer: str
    client_id: str
    nonce: str


def verified_claims(token: str, keys: Sequence[Jwk], expected: Expected, now: datetime) -> Claims:
    """Return the claims of a token.

    Raise UnknownKey if none of the issuer's `keys` fits, and InvalidIdToken if the token is malformed, its
    signature or a claim is wrong, or it is not valid now.
    """
    if len(token) > MAX_CHARACTERS:
        _refuse("it is too long")
    parts = token.split(".")
    if len(parts) != 3:
        _refuse("it is not a signed JWT")
    header, claims, signature = _object(parts[0]), _object(parts[1]), _bytes(parts[2])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        _refuse(f"its algorithm {algorithm!r} is not one of {', '.join(ALGORITHMS)}")
    if "crit" in header:
        _refuse("it has critical extensions")
    signed = f"{parts[0]}.{parts[1]}".encode()
    candidates = [key for key in keys if _fits(key, algorithm, header.get("kid"))]
    if not candidates:
        raise UnknownKey("the issuer has no key for it")
    if not any(_is_signed(signed, signature, algorithm, key) for key in candidates):
        _refuse("its signature is wrong")
    _check(claims, expected, now.timestamp())
    return claims


def _refuse(reason: str) -> NoReturn:
    raise InvalidIdToken(reason)


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        _refuse("it is malformed")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        _refuse("it is malformed")


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        _refuse("it is malformed")
    if not isinstance(value, dict):
        _refuse("it is malformed")
    return value


def _fits(key: Jwk, algorithm: str, key_id: Any) -> bool:
    return (
        key.get("kty") == ALGORITHMS[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (key_id is None or key.get("kid") == key_id)
    )


def _is_signed(signed: bytes, signature: bytes, algorithm: str, key: Jwk) -> bool:
    try:
        _verify(signed, signature, algorithm, key)
    except (InvalidSignature, UnsupportedAlgorithm, InvalidIdToken, ValueError):
        return False
    return True


def _verify(signed: bytes, signature: bytes, algorithm: str, key: Jwk) -> None:
    """Raise InvalidSignature for a wrong signature, ValueError for a key that is none."""
    match algorithm:
        case "RS256":
            _rsa(key).verify(signature, signed, padding.PKCS1v15(), SHA256())
        case "PS256":
            salted = padding.PSS(padding.MGF1(SHA256()), salt_length=SHA256.digest_size)
            _rsa(key).verify(signature, signed, salted, SHA256())
        case "ES256":
            if key.get("crv") != "P-256" or len(signature) != 2 * _COORDINATE_BYTES:
                raise InvalidSignature
            r, s = (_integer(part) for part in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
            numbers = ec.EllipticCurvePublicNumbers(
                _integer(_bytes(key.get("x"))), _integer(_bytes(key.get("y"))), ec.SECP256R1()
            )
            numbers.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
        case _:
            if key.get("crv") != "Ed25519":
                raise InvalidSignature
            ed25519.Ed25519PublicKey.from_public_bytes(_bytes(key.get("x"))).verify(signature, signed)


def _rsa(key: Jwk) -> rsa.RSAPublicKey:
    numbers = rsa.RSAPublicNumbers(e=_integer(_bytes(key.get("e"))), n=_integer(_bytes(key.get("n"))))
    public = numbers.public_key()
    if public.key_size < LEAST_RSA_BITS:
        raise InvalidSignature
    return public


def _integer(content: bytes) -> int:
    return int.from_bytes(content)


def _check(claims: Claims, expected: Expected, now: float) -> None:
    """Raise InvalidIdToken unless the claims are those of a token for this client, this sign-in and now."""
    if claims.get("iss") != expected.issuer:
        _refuse("another issuer made it")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        _refuse("it is for another client")
    party = claims.get("azp")
    if party != expected.client_id and (party is not None or len(audiences) > 1):
        _refuse("another client asked for it")
    if _time(claims, "exp") + LEEWAY_SECONDS <= now:
        _refuse("it has expired")
    if _time(claims, "iat") - LEEWAY_SECONDS > now:
        _refuse("it is from the future")
    if "nbf" in claims and _time(claims, "nbf") - LEEWAY_SECONDS > now:
        _refuse("it is not valid yet")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not compare_digest(nonce.encode(), expected.nonce.encode()):
        _refuse("it belongs to another sign-in")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        _refuse("it names nobody")


def _time(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"it has no {name}")
    return float(value)
