"""Differences of two JSON documents, by member."""

from __future__ import annotations

from typing import Any

Difference = tuple[str, Any, Any]
"""The path of a member, such as `rules.pins`, its value before and its value after."""


def differences(before: Any, after: Any, path: str = "") -> list[Difference]:
    """Return the members that differ; None stands for a document or a member that does not exist."""
    if before == after:
        return []
    if isinstance(before, dict | None) and isinstance(after, dict | None) and (before or after):
        left, right = before or {}, after or {}
        return [
            difference
            for name in sorted({*left, *right})
            for difference in differences(left.get(name), right.get(name), f"{path}.{name}" if path else name)
        ]
    return [(path, before, after)]
