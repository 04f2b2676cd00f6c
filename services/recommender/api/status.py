"""What is served, for people and probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.recommender.domain.pointers import Pointers
    from services.recommender.store.campaigns import Campaigns
    from services.recommender.store.states import Catalogues


class Status:
    """Looks at what the process has in memory."""

    def __init__(
        self,
        pointers: Pointers,
        catalogues: Catalogues,
        campaigns: Campaigns,
        redis_answers: Callable[[], bool],
    ) -> None:
        self._pointers = pointers
        self._catalogues = catalogues
        self._campaigns = campaigns
        self._redis_answers = redis_answers

    def of(self, tenant: str) -> dict[str, Any]:
        """The status of one tenant."""
        pointer = self._pointers.of(tenant)
        return {
            "tenant": tenant,
            "activation": pointer.activation,
            "generations": dict(pointer.generations),
            "items": len(self._catalogues.of(tenant)),
            "campaigns": self._campaigns.of(tenant),
            "redis": self._redis_answers(),
        }
