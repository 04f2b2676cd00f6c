"""What the moment of arrival adds to an event: the tenant, the time, an id, a place in its order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.tracker.domain.identity import content_id
from shared.events import OrderLine, line_id

FUTURE = timedelta(minutes=5)
MAX_DEPTH = 32
ADJUSTED = "timestamp_adjusted_from"


@dataclass(frozen=True, slots=True)
class Reception:
    """One request as it arrives. `oldest` bounds what a clock may claim, `new_id` makes an unused id."""

    tenant: str
    received_at: datetime
    oldest: datetime
    new_id: Callable[[], str]
    _lines: Counter[tuple[str, str]] = field(default_factory=Counter)

    def moment(self, claimed: datetime | None) -> tuple[datetime, str | None]:
        """When an event happened, in UTC: the sender's time, kept within bounds, else now.

        A clock that runs ahead would make an event newer than everything for ever, so it is moved back
        to five minutes from now; what was claimed is the second result.
        """
        if claimed is None:
            return self.received_at, None
        if claimed.tzinfo is None:
            claimed = claimed.replace(tzinfo=UTC)
        kept = min(max(claimed, self.oldest), self.received_at + FUTURE)
        # Converted once it is within bounds: what is beyond them may have no counterpart in UTC.
        return kept.astimezone(UTC), None if kept == claimed else claimed.isoformat()

    def event_id(self, claimed: datetime | None, *said: object) -> str:
        """Return the id of an event that came without one; `said` is what it says, as JSON values.

        It follows from the event where its time does; an event dated by its arrival gets an unused id.
        """
        return self.new_id() if claimed is None else content_id(self.tenant, claimed, *said)

    def order_line_id(self, order_id: str, item_id: str, kind: str = "purchase") -> str:
        """The id that this line of an order has from every source; equal lines of a request stay apart."""
        self._lines[order_id, item_id] += 1
        line = OrderLine(item_id=item_id, n=self._lines[order_id, item_id])
        return line_id(self.tenant, order_id, line, kind)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that can't be accepted; `reason` is a sentence for people."""

    reason: str
    id: str | None = None


def with_adjustment(properties: dict[str, Any] | None, claimed: str | None) -> dict[str, Any] | None:
    """The properties, and what time the sender claimed where another is kept."""
    if claimed is None:
        return properties or None
    return {**(properties or {}), ADJUSTED: claimed}


def nests_too_deep(value: object, levels: int = MAX_DEPTH) -> bool:
    """Whether a JSON value is nested deeper than `levels`."""
    if isinstance(value, dict):
        children: Any = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return False
    return levels == 0 or any(nests_too_deep(child, levels - 1) for child in children)
