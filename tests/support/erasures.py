"""Requests to erase a user, as the engine publishes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.events import UserErasureRequested


def erasure(user_id: str, **fields: Any) -> UserErasureRequested:
    """Everything of a user up to now is to be erased, unless the fields say otherwise."""
    given = {"tenant": "default", "occurred_at": datetime.now(UTC), "erasure_id": "7"} | fields
    return UserErasureRequested(event_id=f"erasure-{given['erasure_id']}-{user_id}", user_id=user_id, **given)
