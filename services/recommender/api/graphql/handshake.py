"""The credentials of a WebSocket: from its handshake, or from a message."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import orjson

if TYPE_CHECKING:
    from starlette.types import Scope

_CREDENTIALS: Final = ("x-api-key", "authorization")


def handshake_header(scope: Scope) -> dict[str, Any]:
    """Return the members of `header`, in the query or in a sub-protocol; {} for anything unreadable."""
    encoded = next(
        (name[len("header-") :] for name in scope["subprotocols"] if name.startswith("header-")), None
    )
    if encoded is None:
        values = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
        encoded = values.get("header", [""])[0].replace(" ", "+")
    try:
        text = base64.b64decode(encoded.replace("-", "+").replace("_", "/") + "==")
        document = orjson.loads(text)
    except (binascii.Error, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def as_request(scope: Scope, credentials: dict[str, Any]) -> Scope:
    """Return the scope of a request with these credentials, if there are any; else with its own."""
    named = {name.lower(): value for name, value in credentials.items() if isinstance(value, str)}
    headers = list(scope["headers"])
    for name in _CREDENTIALS:
        if name in named:
            headers = [each for each in headers if each[0] not in {b"x-api-key", b"authorization"}]
            headers.append((name.encode(), named[name].encode("utf-8", "replace")))
            break
    return {**scope, "type": "http", "method": "GET", "headers": headers}
