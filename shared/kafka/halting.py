"""When bad records are our own defect: many in a row, of several tenants, and no good one between them."""

from __future__ import annotations

from collections import Counter
from time import monotonic

from shared.observability import gauge

FIRST_REST_SECONDS = 30.0
MAX_REST_SECONDS = 300.0
LASTING_SECONDS = 600.0
"""Five attempts: what is left is that a restart brings other code, settings or memory."""

HALTED = gauge(
    "endcap_kafka_consumer_halted",
    "1 while a subscription has stopped because of bad records in a row.",
    ["topic", "group"],
)


class BadRun:
    """Counts bad records since the last good one.

    A tenant's records count up to its share, so that the limit is only reached by those of at least
    `tenants` tenants. One tenant may send what nobody can read for as long as it likes: it fills the
    dead-letter topic, and the others are served.
    """

    def __init__(self, limit: int, tenants: int) -> None:
        """`limit` bad records in a row, of at least `tenants` tenants, are too many."""
        self.limit = limit
        self._share = -(-limit // tenants)
        self._by_tenant: Counter[str] = Counter()

    def good(self) -> None:
        """Begin anew: a record was handled."""
        self._by_tenant.clear()

    def is_too_many_with(self, tenant: str) -> bool:
        """Whether one more bad record, of this tenant, reaches the limit."""
        return not self.has_its_share(tenant) and self._by_tenant.total() + 1 >= self.limit

    def add(self, tenant: str) -> None:
        """Count a bad record."""
        if not self.has_its_share(tenant):
            self._by_tenant[tenant] += 1

    def has_its_share(self, tenant: str) -> bool:
        """Whether further bad records of the tenant count for nothing."""
        return self._by_tenant[tenant] >= self._share


class Halt:
    """Whether one subscription has halted, since when, and when it tries again."""

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
        self.reason = f"{self._name} {reason}; it tries again by itself every few minutes"
        self._gauge.set(1)
        return seconds

    def end(self) -> bool:
        """Go on; return whether it had halted."""
        if self.reason is None:
            return False
        self.reason = None
        self._gauge.set(0)
        return True

    def lasting(self) -> str | None:
        """Return the reason once the attempts of `LASTING_SECONDS` have not helped."""
        return self.reason if self.reason and monotonic() - self._since > LASTING_SECONDS else None
