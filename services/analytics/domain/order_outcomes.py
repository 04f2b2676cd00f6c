"""Outcomes of orders by their status."""

from __future__ import annotations

from typing import Final, Literal

Outcome = Literal["fulfilled", "lost", "pipeline", "other"]

_OUTCOMES: Final[dict[str, Outcome]] = {
    **dict.fromkeys(("delivered", "completed", "fulfilled", "paid", "shipped"), "fulfilled"),
    **dict.fromkeys(("cancelled", "canceled", "returned", "refund", "refunded", "failed", "voided"), "lost"),
    **dict.fromkeys(
        (
            *("pending", "dispatched", "awaiting assigning", "courier in-process", "processing", "on-hold"),
            *("authorized", "partially_paid", "unfulfilled", "draft"),
        ),
        "pipeline",
    ),
}
"""Outcomes of orders by their status in lower case; others are `other`."""


def outcome_of(status: str) -> Outcome:
    """Return what a status means for an order."""
    return _OUTCOMES.get(status.strip().casefold(), "other")
