"""ID tokens: each accepted algorithm, and what makes a token prove nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from services.dashboard.domain.id_tokens import Expected, InvalidIdToken, UnknownKey, verified_claims
from services.dashboard.domain.identities import name_of_claims, role_of_claims

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
EXPECTED = Expected("https://login.example", "endcap", "the nonce")
CLAIMS = {
    "iss": EXPECTED.issuer,
    "aud": EXPECTED.client_id,
    "nonce": EXPECTED.nonce,
    "sub": "u-1",
    "iat": AT,
    "exp": AT + 300,
}
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()

Sign = Callable[[bytes], bytes]


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return encoded(value.to_bytes(size or (value.bit_length() + 7) // 8))


def rsa_jwk(key: rsa.RSAPrivateKey, **members: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": "r", "n": number(numbers.n), "e": number(numbers.e), **members}


def ec_jwk() -> dict[str, Any]:
    numbers = EC.public_key().public_numbers()
    return {"kty": "EC", "kid": "e", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}


KEYS = [
    rsa_jwk(RSA),
    ec_jwk(),
    {"kty": "OKP", "kid": "d", "crv": "Ed25519", "x": encoded(ED.public_key().public_bytes_raw())},
]


def by_rsa(signed: bytes) -> bytes:
    return RSA.sign(signed, padding.PKCS1v15(), SHA256())


def by_pss(signed: bytes) -> bytes:
    return RSA.sign(signed, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())


def by_ec(signed: bytes) -> bytes:
    r, s = decode_dss_signature(EC.sign(signed, ec.ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def token(header: dict[str, Any], claims: Any = CLAIMS, sign: Sign = by_rsa) -> str:
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{encoded(sign(signed.encode()))}"


def claims_of(text: str, keys: list[dict[str, Any]] = KEYS) -> Any:
    return verified_claims(text, keys, EXPECTED, NOW)


RS = {"alg": "RS256", "kid": "r"}


@pytest.mark.parametrize(
    ("header", "sign"),
    [
        (RS, by_rsa),
        ({"alg": "RS256"}, by_rsa),
        ({"alg": "PS256", "kid": "r"}, by_pss),
        ({"alg": "ES256", "kid": "e"}, by_ec),
        ({"alg": "EdDSA", "kid": "d"}, ED.sign),
    ],
)
def test_a_token_with_the_signature_of_the_issuer_is_accepted(header: dict[str, Any], sign: Sign) -> None:
    assert claims_of(token(header, sign=sign)) == CLAIMS


def test_a_token_for_several_clients_is_accepted_if_this_one_asked_for_it() -> None:
    both = CLAIMS | {"aud": ["other", "endcap"], "azp": "endcap"}

    assert claims_of(token(RS, both)) == both


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://login.example/"}, "issuer"),
        ({"aud": "other"}, "another client"),
        ({"aud": ["other"]}, "another client"),
        ({"aud": None}, "another client"),
        ({"aud": ["endcap", "other"]}, "asked for it"),
        ({"azp": "other"}, "asked for it"),
        ({"exp": AT - 60}, "expired"),
        ({"exp": True}, "no exp"),
        ({"exp": str(AT)}, "no exp"),
        ({"iat": AT + 61}, "future"),
        ({"nbf": AT + 61}, "not valid yet"),
        ({"nonce": "another"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"sub": ""}, "nobody"),
    ],
)
def test_a_token_with_other_claims_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidIdToken, match=reason):
        claims_of(token(RS, CLAIMS | changed))


def by_hmac(signed: bytes) -> bytes:
    """Sign with the public key as a secret, as an attacker can."""
    mac = hmac.HMAC(json.dumps(KEYS[0]).encode(), SHA256())
    mac.update(signed)
    return mac.finalize()


@pytest.mark.parametrize(
    "text",
    [
        token({"alg": "none"}, sign=lambda _: b""),
        token({"alg": "HS256", "kid": "r"}, sign=by_hmac),
        token({"alg": "RS256", "kid": "e"}, sign=by_ec),
        token({"alg": "ES256", "kid": "r"}),
        token({"alg": "PS256", "kid": "r"}),
        token({"alg": ["RS256"], "kid": "r"}),
        token(RS | {"crit": ["b64"]}),
        token(RS, [1]),
        token(RS, sign=lambda signed: by_rsa(signed)[:-1]),
        token({"alg": "ES256", "kid": "e"}, sign=lambda _: bytes(64)),
        token(RS).replace(".", "", 1),
        f"{token(RS)}.x",
        token(RS) + "!",
        "a" * 40_000,
        "",
    ],
)
def test_a_token_without_the_signature_of_the_issuer_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdToken):
        claims_of(text)


def test_a_change_of_the_claims_breaks_the_signature() -> None:
    header, _, signature = token(RS).split(".")
    forged = encoded(json.dumps(CLAIMS | {"sub": "u-2"}).encode())

    with pytest.raises(InvalidIdToken, match="signature"):
        claims_of(f"{header}.{forged}.{signature}")


def test_a_key_that_does_not_suit_is_not_used() -> None:
    weak = rsa.generate_private_key(65537, 1024)

    def by_weak(signed: bytes) -> bytes:
        return weak.sign(signed, padding.PKCS1v15(), SHA256())

    with pytest.raises(InvalidIdToken, match="signature"):
        claims_of(token(RS, sign=by_weak), [rsa_jwk(weak)])
    for key in (rsa_jwk(RSA, use="enc"), rsa_jwk(RSA, alg="PS256"), rsa_jwk(RSA, kid="old")):
        with pytest.raises(UnknownKey):
            claims_of(token(RS), [key])


@given(st.text(alphabet="abcAB01-_.=", max_size=80))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    with pytest.raises(InvalidIdToken):
        claims_of(text)


@pytest.mark.parametrize(
    ("claims", "claim", "role"),
    [
        ({"groups": ["staff", "shop-admins"]}, "groups", "admin"),
        ({"groups": "staff"}, "groups", "merchandiser"),
        ({"groups": ["guests"]}, "groups", None),
        ({"groups": [7, None]}, "groups", None),
        ({}, "groups", None),
        ({"realm_access": {"roles": ["staff"]}}, "realm_access.roles", "merchandiser"),
        ({"https://shop.example/roles": ["staff"]}, "https://shop.example/roles", "merchandiser"),
        ({"realm_access": "x"}, "realm_access.roles", None),
    ],
)
def test_the_highest_role_of_a_claim_counts(claims: dict[str, Any], claim: str, role: str | None) -> None:
    assert role_of_claims(claims, claim, {"shop-admins": "admin", "staff": "merchandiser"}) == role


def test_everybody_may_have_a_role() -> None:
    assert role_of_claims({}, "groups", {"*": "viewer"}) == "viewer"


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ann", "email": "ann@shop.example"}, "Ann (ann@shop.example)"),
        ({"preferred_username": "ann"}, "ann (u-1)"),
        ({"name": 7}, "u-1"),
        ({"name": "x" * 500}, "x" * 100),
    ],
)
def test_a_person_has_a_name_for_the_audit_log(claims: dict[str, Any], name: str) -> None:
    assert name_of_claims({"sub": "u-1", **claims}) == name
