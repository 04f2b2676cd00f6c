"""Signatures by each vendor's rules, and those of attackers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from services.sync.domain.sources import Webhook
from services.sync.domain.webhooks.deliveries import is_ping, is_signed, read_headers

BODY = b'{"id": 1, "name": "K\xc3\xa4se"}'
SECRET = "hush"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
MAPPING = {
    "kind": "users",
    "fields": {"user_id": "$.id"},
}


def hook(form: str, **more: Any) -> Webhook:
    mappings = [MAPPING] if form == "generic" else []
    return Webhook.model_validate({"format": form, "mappings": mappings, **more})


def digest(body: bytes = BODY, secret: str = SECRET, name: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), body, name).digest()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def url64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def jwk(**changes: Any) -> dict[str, Any]:
    numbers = KEY.public_key().public_numbers()
    modulus = numbers.n.to_bytes(256, "big")
    return {
        "kty": "RSA",
        "kid": "1",
        "use": "sig",
        "n": url64(modulus),
        "e": url64(b"\x01\x00\x01"),
    } | changes


def jws(body: bytes = BODY, header: dict[str, Any] | None = None) -> str:
    header = header or {"alg": "RS256", "kid": "1", "b64": False, "crit": ["b64"]}
    head = url64(orjson.dumps(header))
    payload = body if header.get("b64") is False else url64(body).encode()
    signature = KEY.sign(f"{head}.".encode() + payload, padding.PKCS1v15(), SHA256())
    return f"{head}..{url64(signature)}"


GOOD = {
    "shopify": ({}, {"x-shopify-hmac-sha256": b64(digest())}),
    "woocommerce": ({}, {"x-wc-webhook-signature": b64(digest())}),
    "saleor": ({}, {"saleor-signature": digest().hex()}),
    "generic": ({}, {"x-signature": digest().hex()}),
}


@pytest.mark.parametrize("form", GOOD)
def test_the_vendors_signature_is_accepted_and_no_other_body_or_secret(form: str) -> None:
    _, headers = GOOD[form]

    assert is_signed(hook(form), headers, BODY, [SECRET])
    assert is_signed(hook(form), headers, BODY, ["new", SECRET])  # while the secret is replaced
    assert not is_signed(hook(form), headers, BODY + b" ", [SECRET])
    assert not is_signed(hook(form), headers, BODY, ["other"])
    assert not is_signed(hook(form), headers, BODY, [])
    assert not is_signed(hook(form), {}, BODY, [SECRET])


@pytest.mark.parametrize("form", GOOD)
@pytest.mark.parametrize(
    "signature",
    ["", " ", "=", "null", "0" * 64, b64(b""), b64(digest())[:-4], b64(digest(name="sha1")), "A" * 100_000,
     "\u00e9" * 44, digest().hex() + "00", b64(digest()) + "AAAA", "../..", "sha256=" + digest().hex()],
)  # fmt: skip
def test_a_hostile_signature_is_refused(form: str, signature: str) -> None:
    headers = dict.fromkeys(GOOD[form][1], signature)

    assert not is_signed(hook(form), headers, BODY, [SECRET])


def test_a_generic_sender_has_its_own_rule() -> None:
    rule = {"header": "X-Hub-Signature", "encoding": "hex", "algorithm": "sha512", "prefix": "sha512="}
    signature = "sha512=" + digest(name="sha512").hex()

    assert is_signed(hook("generic", signature=rule), {"x-hub-signature": signature}, BODY, [SECRET])
    assert not is_signed(hook("generic", signature=rule), {"x-hub-signature": signature[7:]}, BODY, [SECRET])


@pytest.mark.parametrize("header", [None, {"alg": "RS256"}, {"alg": "RS256", "kid": "1"}])
def test_saleor_may_sign_with_the_key_of_the_shop(header: dict[str, Any] | None) -> None:
    assert is_signed(hook("saleor", jwks=[jwk()]), {"saleor-signature": jws(header=header)}, BODY, [])


@pytest.mark.parametrize(
    "header",
    [{"alg": "none"}, {"alg": "HS256"}, {"alg": "RS256", "kid": "2"}, {"alg": "RS256", "crit": ["exp"]}, {}],
)
def test_a_jws_of_another_algorithm_or_key_is_refused(header: dict[str, Any]) -> None:
    headers = {"saleor-signature": jws(header={"x": 1} | header)}

    assert not is_signed(hook("saleor", jwks=[jwk()]), headers, BODY, [])


def test_a_jws_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    """The confusion of RS256 with HS256 (RFC 8725, section 2.1)."""
    head = url64(b'{"alg":"HS256"}')
    forged = hmac.new(jwk()["n"].encode(), f"{head}.{url64(BODY)}".encode(), hashlib.sha256).digest()

    for signature in (
        f"{head}..{url64(forged)}",
        f"{head}..",
        "..",
        "a.b.c",
        f"{head}.{url64(BODY)}.{url64(forged)}",
    ):
        assert not is_signed(hook("saleor", jwks=[jwk()]), {"saleor-signature": signature}, BODY, [])
    assert not is_signed(hook("saleor", jwks=[jwk(n="AQ")]), {"saleor-signature": jws()}, BODY, [])


def test_a_delivery_has_the_id_by_which_its_vendor_repeats_it() -> None:
    shop = {"x-shopify-topic": "orders/create", "x-shopify-webhook-id": "w1"}
    woo = {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-delivery-id": "d1"}

    assert read_headers(hook("shopify"), shop, BODY) == ("orders/create", "w1")
    first, second = (read_headers(hook("woocommerce"), woo, body) for body in (BODY, b"{}"))
    assert first.topic == "order.updated"
    assert first.id != second.id
    assert read_headers(hook("woocommerce"), woo, BODY) == first
    assert read_headers(hook("shopify"), {}, BODY).id == hashlib.sha256(BODY).hexdigest()


def test_a_generic_body_without_a_time_is_a_delivery_of_its_own() -> None:
    timed = MAPPING | {"fields": MAPPING["fields"] | {"updated_at": "$.at"}}  # type: ignore[operator]

    assert read_headers(hook("generic"), {}, BODY).id != read_headers(hook("generic"), {}, BODY).id
    assert len({read_headers(hook("generic", mappings=[timed]), {}, BODY).id for _ in range(3)}) == 1
    named = hook("generic", id_header="X-Id", topic_header="X-Topic")
    assert read_headers(named, {"x-id": "7", "x-topic": "a\x00b"}, BODY) == ("a?b", "7")


def test_the_ping_of_woocommerce_is_unsigned_and_of_no_other_vendor() -> None:
    assert is_ping(hook("woocommerce"), b"webhook_id=7")
    assert not is_ping(hook("woocommerce"), b"webhook_id=7&x=1")
    assert not is_ping(hook("shopify"), b"webhook_id=7")
