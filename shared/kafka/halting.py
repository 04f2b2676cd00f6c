"""Halts: many bad records in a row, of several tenants, are probably a defect of the reader."""

from __future__ import annotations

from collections import Counter
from time import monotonic

from shared.observability import gauge

FIRST_REST_SECONDS = 30.0
MAX_REST_SECONDS = 300.0
"""Pauses of a halt double from the first to this one; arbitrary."""

LASTING_SECONDS = 600.0
"""After this long, five attempts, the process asks for a restart, which may bring other code or settings."""

HALTED = gauge(
    "endcap_kafka_consumer_halted",
    "1 while a subscription has stopped because of bad records in a row.",
    ["topic", "group"],
)


class BadRecordCounter:
    """Counts bad records since the last good one.

    Each tenant counts up to its share of the limit, so that at least `tenants` tenants must have bad records
    to reach it. One tenant that sends nothing but malformed records fills the dead-letter topic and does not
    stop the others.
    """

    def __init__(self, limit: int, tenants: int) -> None:
        """Set the limit of bad records in a row, of at least `tenants` tenants."""
        self.limit = limit
        self._share = -(-limit // tenants)
        self._by_tenant: Counter[str] = Counter()

    def good(self) -> None:
        """Reset the count after a record that was handled."""
        self._by_tenant.clear()

    def is_too_many_with(self, tenant: str) -> bool:
        """Return whether one more bad record of this tenant reaches the limit."""
        return not self.has_its_share(tenant) and self._by_tenant.total() + 1 >= self.limit

    def add(self, tenant: str) -> None:
        """Count a bad record."""
        if not self.has_its_share(tenant):
            self._by_tenant[tenant] += 1

    def has_its_share(self, tenant: str) -> bool:
        """Return whether the tenant has used up its share, so that its further bad records don't count."""
        return self._by_tenant[tenant] >= self._share


class Halt:
    """The halt of one subscription: whether it has halted, since when, and when it tries again."""

    def __init__(self, topic: str, group: str) -> None:
        self.reason: str | None = None
        self._name = f"reading {topic} as {group}"
        self._since = 0.0
        self._pause = FIRST_REST_SECONDS
        self._gauge = HALTED.labels(topic, group)
        self._gauge.set(0)

    def begin(self, reason: str) -> float:
        """Halt, or halt again; return the seconds until the next attempt."""
        if self.reason is None:
            self._since, self._pause = monotonic(), FIRST_REST_SECONDS
        seconds, self._pause = self._pause, min(2 * self._pause, MAX_REST_SECONDS)
        self.reason = f"{self._name} {reason}; it tries again every few minutes"
        self._gauge.set(1)
        return seconds

    def end(self) -> bool:
        """End the halt; return whether there was one."""
        if self.reason is None:
            return False
        self.reason = None
        self._gauge.set(0)
        return True

    def lasting(self) -> str | None:
        """Return the reason of a halt that is longer than `LASTING_SECONDS`, else None."""
        return self.reason if self.reason and monotonic() - self._since > LASTING_SECONDS else None
