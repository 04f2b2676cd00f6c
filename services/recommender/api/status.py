"""The status page: generations, campaigns and experiments that are served, for people and probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.store.campaigns import Campaigns
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.running_experiments import RunningExperiments


class Status:
    """Reports what the process has in memory."""

    def __init__(
        self,
        active: ActiveGenerations,
        catalogues: Catalogues,
        campaigns: Campaigns,
        experiments: RunningExperiments,
        redis_is_up: Callable[[], bool],
    ) -> None:
        self._active = active
        self._catalogues = catalogues
        self._campaigns = campaigns
        self._experiments = experiments
        self._redis_is_up = redis_is_up

    def of(self, tenant: str) -> dict[str, Any]:
        """Return the fields of `StatusBody` for a tenant."""
        activation = self._active.of(tenant)
        return {
            "tenant": tenant,
            "is_configured": activation.number > 0,
            "activation": activation.number,
            "generations": dict(activation.generations),
            "overlays": {recipe: overlay.generation for recipe, overlay in activation.overlays.items()},
            "items": len(self._catalogues.of(tenant)),
            "campaigns": self._campaigns.of(tenant),
            "experiments": self._experiments.of(tenant),
            "redis": self._redis_is_up(),
        }
