"""How many calls a tenant may make in a second."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Allowance:
    """A bucket of calls per tenant: it holds one second's worth, and fills up as time passes."""

    per_second: float
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def takes(self, tenant: str, now: float) -> bool:
        """Take a call at a time in seconds; False when the tenant has none left."""
        most = max(1.0, self.per_second)
        left, since = self._buckets.get(tenant, (most, now))
        left = min(most, left + (now - since) * self.per_second)
        taken = left >= 1.0
        self._buckets[tenant] = (left - 1.0 if taken else left, now)
        return taken
