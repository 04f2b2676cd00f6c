"""Rate limits of calls, per credential and per tenant."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.auth.principal import SCOPES, Principal, Scope
from shared.errors import ApiError
from shared.observability import counter
from shared.rates import TokenBuckets

if TYPE_CHECKING:
    from shared.settings import AuthSettings

THROTTLED = counter(
    "endcap_http_throttled_total", "Calls that were refused because of a rate limit.", ["scope", "limit"]
)


class RateLimits:
    """Token buckets by scope: one per credential, one per tenant (or account of an AWS key pair).

    Each process counts in its own memory, so no store is needed for a call; with N processes behind one
    address a credential may make up to N times as many calls.
    """

    def __init__(self, settings: AuthSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds and never goes back."""
        self._clock = clock
        rates: dict[Scope, float] = dict.fromkeys(SCOPES, 0.0) | {
            "ingest": settings.endcap_ingest_calls_per_second,
            "recommend": settings.endcap_read_calls_per_second,
            "read": settings.endcap_read_calls_per_second,
            "catalogue": settings.endcap_catalogue_calls_per_second,
            "placements": settings.endcap_admin_calls_per_second,
            "admin": settings.endcap_admin_calls_per_second,
        }
        burst, factor = settings.endcap_burst_seconds, settings.endcap_tenant_rate_factor
        self._of_credential = {scope: TokenBuckets(rate, burst) for scope, rate in rates.items()}
        self._of_tenant = {scope: TokenBuckets(rate * factor, burst) for scope, rate in rates.items()}

    def wait_seconds(self, principal: Principal, scope: Scope) -> float:
        """Count a call and return 0.0; over the limit, return the seconds until the next call is allowed.

        Services have no limit: their own callers are counted.
        """
        if principal.kind == "service":
            return 0.0
        now_seconds = self._clock()
        owner = principal.tenant or principal.account or ""
        wait = self._of_credential[scope].wait_seconds(principal.credential or owner, now_seconds)
        if wait:
            THROTTLED.labels(scope, "credential").inc()
            return wait
        wait = self._of_tenant[scope].wait_seconds(owner, now_seconds)
        if wait:
            THROTTLED.labels(scope, "tenant").inc()
        return wait

    def check(self, principal: Principal, scope: Scope) -> None:
        """Count a call; raises ApiError 429 with Retry-After over the limit."""
        wait = self.wait_seconds(principal, scope)
        if wait:
            rate = self._of_credential[scope].per_second
            detail = (
                f"Too many calls: one key may make {rate:g} calls of this kind a second. "
                "Wait as long as Retry-After says, and send several events in one call."
            )
            raise ApiError(429, "TooManyRequests", detail, retry_after=max(1, math.ceil(wait)))
