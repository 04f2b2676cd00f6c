"""Clearing up: what nothing points at any more, once nobody can be reading it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from services.engine.settings import Settings
from services.engine.store import sweeping
from services.engine.store.objects import Objects
from shared.errors import Permanent, Transient
from shared.postgres import UNAVAILABLE, Database

EVERY_SECONDS = 60.0

log = structlog.get_logger()


@dataclass
class Sweeper:
    """Empties what is due, lets old models go, forgets old calls. Several at once do no harm."""

    database: Database
    objects: Objects
    settings: Settings
    name: str = "sweeper"
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Begin; neither Postgres nor the object store need be there."""
        self._task = asyncio.create_task(self._loop())

    async def stop(self) -> None:
        """Stop in the middle of whatever it is: the rest is done next time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """The loop never ends by itself."""
        return "the sweeper's loop has ended" if self._task and self._task.done() else None

    def ready(self) -> str | None:
        """Nobody waits for a sweeper."""
        return None

    async def _loop(self) -> None:
        while True:
            try:
                await self.sweep()
            except (Transient, Permanent, *UNAVAILABLE) as error:
                log.warning("engine.sweep_put_off", error=str(error))
            except Exception:
                log.exception("engine.sweep_failed")
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self) -> None:
        """Empty what is due now."""
        await sweeping.forget_invocations(self.database)
        keep, hours = self.settings.keep_models, self.settings.garbage_hours
        for folder in await sweeping.retire_models(self.database, keep, hours):
            log.info("engine.model_retired", prefix=folder)
        for prefix in await sweeping.due(self.database):
            await asyncio.to_thread(self.objects.delete_below, prefix)
            await sweeping.done(self.database, prefix)
            log.info("engine.swept", prefix=prefix)
