"""The garbage collector: it deletes objects and rows that nothing refers to, after their grace period.

See docs/decisions/0035-erasure-and-retention.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from services.engine.settings import Settings
from services.engine.store import cleanup, erasures
from services.engine.store.objects import ObjectStorage
from shared.postgres import Database

INTERVAL_SECONDS = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class GarbageCollector:
    """Deletes discarded prefixes, old models, invocations and replays; several collectors do no harm."""

    database: Database
    objects: ObjectStorage
    settings: Settings

    async def run(self) -> None:
        """Delete what is due now."""
        await cleanup.forget_invocations(self.database)
        await cleanup.forget_replays(self.database)
        await cleanup.end_deletions(self.database)
        if users := await erasures.withdraw_finished(self.database):
            log.info("engine.erasures_ended", users=users)
        keep, hours = self.settings.keep_models, self.settings.garbage_hours
        for folder in await cleanup.retire_models(self.database, keep, hours):
            log.info("engine.model_retired", prefix=folder)
        for prefix in await cleanup.due_prefixes(self.database):
            await asyncio.to_thread(self.objects.delete_below, prefix)
            await cleanup.forget_prefix(self.database, prefix)
            log.info("engine.prefix_deleted", prefix=prefix)
