"""API keys and AWS key pairs as they are cached, and the API key of a request."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.auth.origins import OriginRule
from shared.auth.principal import Principal


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key: its principal, its expiry in seconds since 1970, and the origins that may use it."""

    principal: Principal
    expires_at: float | None
    origins: OriginRule | None

    @classmethod
    def of_row(cls, row: Mapping[str, Any], credential: str) -> ApiKey:
        """Return the key of a row of the query `api_key`; `credential` identifies it for rate limits."""
        is_service = row["kind"] == "service"
        principal = Principal(
            None if is_service else row["tenant"],
            None,
            frozenset(row["scopes"]),
            "service" if is_service else "key",
            credential,
        )
        allowed = row["allowed_origins"]
        rule = None
        if allowed is not None:
            rule = OriginRule(frozenset(origin.encode() for origin in allowed), row["requires_origin"])
        expires_at = row["expires_at"]
        return cls(principal, expires_at.timestamp() if expires_at else None, rule)

    def has_expired(self) -> bool:
        """Return whether the key has expired."""
        return self.expires_at is not None and datetime.now(UTC).timestamp() >= self.expires_at

    def accepts(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether the origin of the request may use the key."""
        return self.origins is None or self.origins.accepts(headers)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An AWS key pair: its principal, and the secret of its signatures."""

    principal: Principal
    secret: str


def presented_key(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the API key of `x-api-key`, `Authorization: Bearer`, or the user of `Authorization: Basic`."""
    key = headers.get(b"x-api-key")
    if key is not None:
        return key.strip()
    authorization = headers.get(b"authorization")
    if authorization is None:
        return None
    scheme, _, rest = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip()
        case b"basic":
            try:
                return base64.b64decode(rest).partition(b":")[0]
            except binascii.Error:
                return b""
        case _:
            return None
