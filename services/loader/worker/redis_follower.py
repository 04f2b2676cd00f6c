"""The follower that keeps Redis up to date with Postgres, whatever data either has lost."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from services.loader import metrics
from services.loader.store import Activations, Caches, RedisState

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RedisFollower:
    """Completes interrupted loads, and fills a Redis that has lost its data."""

    activations: Activations
    caches: Caches

    async def run(self) -> None:
        """Write missing lists to Redis, then set its pointers."""
        outdated = await self.caches.outdated(await self.activations.redis_states())
        metrics.REDIS_BEHIND.set(len(outdated))
        for state in outdated:
            await self._update(state)

    async def _update(self, state: RedisState) -> None:
        tenant = state.active.tenant
        filled = [await self.caches.fill(tenant, generation, rows) for generation, rows in state.rows.items()]
        if all(filled) and await self.caches.set_pointer(state.active):
            log.info("loader.redis_followed", tenant=tenant, activation=state.active.activation)
