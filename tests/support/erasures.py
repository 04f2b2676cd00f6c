"""Requests to erase a user, as the engine publishes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.events import UserErasureRequested


def erasure(user_id: str, **fields: Any) -> UserErasureRequested:
    """Return a request to erase everything of a user up to now, unless the fields say otherwise."""
    members = {"tenant": "default", "occurred_at": datetime.now(UTC), "erasure_id": "7"} | fields
    return UserErasureRequested(
        event_id=f"erasure-{members['erasure_id']}-{user_id}", user_id=user_id, **members
    )
