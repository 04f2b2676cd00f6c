"""nextToken: opaque to clients and signed, so that only tokens issued here are accepted."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Any

import orjson

from shared.aws.errors import WireError

_MAC_BYTES = 16


class PageTokens:
    """Issues and reads tokens for the next page of a list, each bound to one operation."""

    def __init__(self, secret: str | None = None) -> None:
        """`secret` must be the same in every replica; without one, tokens are valid in this process only."""
        seed = secret.encode() if secret else secrets.token_bytes(32)
        self._key = hashlib.sha256(b"endcap page tokens:" + seed).digest()

    def issue(self, operation: str, cursor: Any) -> str:
        """Return a token for the page after `cursor`, a JSON value."""
        document = orjson.dumps(cursor)
        return base64.urlsafe_b64encode(self._mac(operation, document) + document).decode()

    def read(self, operation: str, token: str) -> Any:
        """Return the cursor of a token; raises WireError InvalidNextTokenException for a wrong signature."""
        try:
            raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raw = b""
        mac, document = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(operation, document)):
            message = f"nextToken is not one that {operation} gave out; start again without one."
            raise WireError("InvalidNextTokenException", message)
        return orjson.loads(document)

    def _mac(self, operation: str, document: bytes) -> bytes:
        text = operation.encode() + b"\x00" + document
        return hmac.digest(self._key, text, "sha256")[:_MAC_BYTES]
