"""The status page: generations and campaigns that are served, for people and probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.store.campaigns import Campaigns
    from services.recommender.store.catalogues import Catalogues


class Status:
    """Reports what the process has in memory."""

    def __init__(
        self,
        active: ActiveGenerations,
        catalogues: Catalogues,
        campaigns: Campaigns,
        redis_is_up: Callable[[], bool],
    ) -> None:
        self._active = active
        self._catalogues = catalogues
        self._campaigns = campaigns
        self._redis_is_up = redis_is_up

    def of(self, tenant: str) -> dict[str, Any]:
        """Return the fields of `StatusBody` for a tenant."""
        activation = self._active.of(tenant)
        return {
            "tenant": tenant,
            "activation": activation.number,
            "generations": dict(activation.generations),
            "items": len(self._catalogues.of(tenant)),
            "campaigns": self._campaigns.of(tenant),
            "redis": self._redis_is_up(),
        }
