"""Redis follows Postgres, whatever either has been through."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from services.loader import metrics
from services.loader.store import Activations, Caches, Wanted

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Following:
    """Mends what a load that was cut off has left, and fills a Redis that has lost its data."""

    activations: Activations
    caches: Caches

    async def follow(self) -> None:
        """One round: fill what Redis lacks, then move its pointers."""
        late = await self.caches.behind(await self.activations.wanted())
        metrics.REDIS_BEHIND.set(len(late))
        for one in late:
            await self._bring(one)

    async def _bring(self, wanted: Wanted) -> None:
        tenant = wanted.served.tenant
        filled = [await self.caches.fill(tenant, number, rows) for number, rows in wanted.rows.items()]
        if all(filled) and await self.caches.point(wanted.served):
            log.info("loader.redis_followed", tenant=tenant, activation=wanted.served.activation)
