"""Deliveries of webhooks: the signature and the id of each vendor, and the records in a body."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from services.sync.domain.records import Ignored, Record
from services.sync.domain.sources import Webhook
from services.sync.domain.webhooks import generic, saleor, shopify, woocommerce
from services.sync.domain.webhooks.signatures import is_hmac, is_jws
from shared.errors import Permanent

MAX_TOPIC = 200


class Delivery(NamedTuple):
    """The topic of a delivery, and the id under which it is stored once per source and topic."""

    topic: str
    id: str


def read_headers(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Delivery:
    """Return the topic and the id of a delivery; header names are in lower case.

    Shopify repeats a delivery under its webhook id. The delivery id of WooCommerce is equal for all
    deliveries of a webhook in one second, so the body is part of the id. A body that says when its object
    changed is the same delivery whenever it comes; any other body is a delivery of its own.
    """
    content = hashlib.sha256(body).hexdigest()
    match webhook.format:
        case "shopify":
            topic = headers.get("x-shopify-topic", headers.get("shopify-topic", ""))
            identity = headers.get("x-shopify-webhook-id") or headers.get("shopify-webhook-id") or content
        case "woocommerce":
            topic = headers.get("x-wc-webhook-topic", "")
            identity = f"{headers.get('x-wc-webhook-delivery-id', '')[:80]}:{content}"
        case "saleor":
            topic = (headers.get("saleor-event") or headers.get("x-saleor-event", "")).lower()
            identity = content
        case _:
            topic = headers.get(webhook.topic_header.lower(), "") if webhook.topic_header else ""
            named = headers.get(webhook.id_header.lower()) if webhook.id_header else None
            orders_versions = all("updated_at" in mapping.fields for mapping in webhook.mappings)
            identity = named or (content if orders_versions else str(uuid.uuid4()))
    return Delivery(_printable(topic)[:MAX_TOPIC], _printable(identity)[:256])


def is_signed(webhook: Webhook, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
    """Return whether the sender knows one of the secrets, or has the private key of one of the `jwks`."""
    match webhook.format:
        case "shopify":
            signature = headers.get("x-shopify-hmac-sha256") or headers.get("shopify-hmac-sha256")
            return is_hmac(signature, body, secrets, "base64")
        case "woocommerce":
            return is_hmac(headers.get("x-wc-webhook-signature"), body, secrets, "base64")
        case "saleor":
            signature = headers.get("saleor-signature") or headers.get("x-saleor-signature")
            if secrets and is_hmac(signature, body, secrets, "hex"):
                return True
            return is_jws(signature, body, webhook.jwks)
        case _:
            rule = webhook.signature
            signature = headers.get(rule.header.lower())
            if signature is None or not signature.startswith(rule.prefix):
                return False
            return is_hmac(signature[len(rule.prefix) :], body, secrets, rule.encoding, rule.algorithm)


def is_ping(webhook: Webhook, body: bytes) -> bool:
    """Return whether it is WooCommerce's unsigned test of a new webhook, which needs a 200."""
    prefix = b"webhook_id="
    return webhook.format == "woocommerce" and body.startswith(prefix) and body[len(prefix) :].isdigit()


def parse(webhook: Webhook, topic: str, body: bytes, received_at: datetime) -> list[Record] | Ignored:
    """Return the records of a stored delivery. Raises Permanent for a body that can't be read."""
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Permanent(f"The body is not JSON: {error}.") from error
    if webhook.format == "generic":
        return generic.parse(topic, document, webhook.mappings)
    if webhook.format == "saleor":
        return saleor.parse(topic, document, webhook.options, received_at)
    if not isinstance(document, dict):
        raise Permanent("The body is not a JSON object.")
    if webhook.format == "shopify":
        return shopify.parse(topic, document, webhook.options, received_at)
    return woocommerce.parse(topic, document, webhook.options, received_at)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def names_user(body: bytes, user_id: str) -> bool:
    """Return whether a value in a JSON body is the id of a user, as text, number or the end of a GID.

    A body that is not JSON names the user if it contains the id.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return user_id.encode() in body
    return _names(document, user_id.lower())


def _names(value: Any, user_id: str) -> bool:
    if isinstance(value, dict):
        return any(_names(member, user_id) for member in value.values())
    if isinstance(value, list):
        return any(_names(entry, user_id) for entry in value)
    text = str(value).strip().lower()
    return text == user_id or text.endswith(f"/{user_id}")
