"""The values that an event takes from its request: the tenant, the time of arrival, an id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.tracker.domain.event_ids import content_based_id
from services.tracker.domain.intake_rules import (
    DEFAULT_RULES,
    NO_CIRCUMSTANCES,
    Circumstances,
    IntakeRules,
    circumstances,
)
from shared.events import InteractionRecorded, OrderLine, line_id

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""Time that a client's clock may run ahead. Arbitrary."""


@dataclass(frozen=True, slots=True)
class IngestContext:
    """The context of one request. `oldest` is the earliest accepted event time; `new_id` makes ids.

    `rules` are those of the tenant, and `request` is what the request says about the origin of its events.
    """

    tenant: str
    received_at: datetime
    oldest: datetime
    new_id: Callable[[], str]
    rules: IntakeRules = DEFAULT_RULES
    request: Circumstances = NO_CIRCUMSTANCES
    _lines: Counter[tuple[str, str]] = field(default_factory=Counter)

    def event_time(
        self, claimed: datetime | None, sent_at: datetime | None = None
    ) -> tuple[datetime, str | None]:
        """Return the time of an event in UTC, and the claimed time in ISO 8601 if it was changed.

        `sent_at` is the time of the request by the clock of `claimed`; by how much that clock differs from
        ours, the claimed time is corrected (received_at − (sent_at − claimed), as Segment does). A difference
        below `MAX_CLOCK_SKEW` is no change: it contains the time that the request took.

        The time is then clamped between `oldest` and five minutes after arrival: with a clock that runs
        ahead, an event would stay the newest of its user. Without a claimed time it is the time of arrival.
        """
        if claimed is None:
            return self.received_at, None
        corrected, is_wrong = _in_utc(claimed), False
        if sent_at is not None:
            skew = self.received_at - _in_utc(sent_at)
            is_wrong = abs(skew) > MAX_CLOCK_SKEW
            try:
                corrected += skew
            except OverflowError:
                is_wrong = True
        clamped = min(max(corrected, self.oldest), self.received_at + MAX_CLOCK_SKEW)
        is_changed = is_wrong or clamped != corrected
        return clamped, _aware(claimed).isoformat() if is_changed else None

    def canonical_type(self, event_type: str) -> str:
        """Return the canonical name of an event type; the tenant's own names come first."""
        return self.rules.canonical_type(event_type)

    def marked(self, event: InteractionRecorded, record: Mapping[str, Any] | None) -> InteractionRecorded:
        """Return an event with the reason why it is kept out of personalization, if there is one.

        `record` is the event as it was sent, unless it says nothing about its origin.
        """
        own = NO_CIRCUMSTANCES if record is None else circumstances(record)
        reason = self.rules.withheld(event.user_id, own, self.request)
        return event if reason is None else event.model_copy(update={"withheld": reason})

    def event_id(self, claimed: datetime | None, *content: object) -> str:
        """Return the id of an event that has none.

        With a claimed time it depends on the time and the content (JSON values) alone; without, it is random.
        """
        return self.new_id() if claimed is None else content_based_id(self.tenant, claimed, *content)

    def order_line_id(self, order_id: str, item_id: str, kind: str = "purchase") -> str:
        """Return the id that an order line has in every source; equal lines of a request are numbered."""
        self._lines[order_id, item_id] += 1
        line = OrderLine(item_id=item_id, n=self._lines[order_id, item_id])
        return line_id(self.tenant, order_id, line, kind)


def _in_utc(time: datetime) -> datetime:
    """Return a time in UTC, which compares much faster; one near year 1 or 9999 may stay as it is."""
    try:
        return _aware(time).astimezone(UTC)
    except OverflowError:
        return _aware(time)


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
