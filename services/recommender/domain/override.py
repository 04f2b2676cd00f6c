"""An item that a shop recommends to one user by hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Override:
    """An item that is recommended to a user, with a score of the shop's own, until it expires.

    Times are seconds since 1970. Of two overrides of one item the one with the greater `version` counts.
    """

    tenant: str
    user_id: str
    item_id: str
    score: float
    category: str | None
    recorded_at: float
    expires_at: float
    version: int
