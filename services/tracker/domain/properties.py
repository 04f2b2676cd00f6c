"""Properties of events: the limit of their depth, and the claimed time that is stored among them."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 32
"""Levels of nesting. Arbitrary; Postgres and JSON parsers take far more."""

CLAIMED_TIME = "timestamp_adjusted_from"


def with_claimed_time(properties: dict[str, Any] | None, claimed: str | None) -> dict[str, Any] | None:
    """Return the properties with the time that the sender claimed, if it was changed; None when empty."""
    if claimed is None:
        return properties or None
    return {**(properties or {}), CLAIMED_TIME: claimed}


def nests_too_deep(value: object, levels: int = MAX_DEPTH) -> bool:
    """Return whether a JSON value is nested deeper than `levels`."""
    if isinstance(value, dict):
        children: Any = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return False
    if levels == 0:
        return True
    return any(nests_too_deep(child, levels - 1) for child in children if isinstance(child, dict | list))
