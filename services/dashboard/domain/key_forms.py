"""Keys as forms and tables show them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from services.dashboard.domain.formats import instant

KINDS: Final = {
    "read": "read: programs that show recommendations",
    "storefront": "storefront: pages that send events and show recommendations; public, bound to origins",
    "ingest": "ingest: apps that send events; public",
    "catalogue": "catalogue: servers that send events, items and users",
    "merchandiser": "merchandiser: people who change placements",
    "admin": "admin: administrators",
}
LIFETIMES: Final = {
    "": "never",
    "7d": "after 7 days",
    "30d": "after 30 days",
    "90d": "after 90 days",
    "365d": "after a year",
}

SOON: Final = timedelta(days=7)
"""A key that expires within this time is marked; arbitrary."""

State = Literal["valid", "expires soon", "expired"]


def new_key(field: Callable[[str], str]) -> dict[str, Any]:
    """Return the body of a request for a key; `field` returns a field of the form.

    Origins are separated by spaces or commas. Members without a value are left out; the engine checks
    the others.
    """
    body: dict[str, Any] = {"kind": field("kind") or "read", "label": field("label")[:100]}
    if expires := field("expires"):
        body["expires"] = expires
    if origins := [origin for origin in re.split(r"[\s,]+", field("origins")) if origin]:
        body["allowed_origins"] = origins
        body["requires_origin"] = field("requires_origin") == "yes"
    return body


def state_of(key: Mapping[str, Any], now: datetime | None = None) -> State:
    """Return whether a key is valid, and for how long."""
    expires_at, now = instant(key["expires_at"]), now or datetime.now(UTC)
    if expires_at is None or expires_at > now + SOON:
        return "valid"
    return "expired" if expires_at <= now else "expires soon"
