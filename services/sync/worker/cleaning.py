"""Posted files go some days after their import has ended; what people uploaded themselves stays."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from shared.errors import Permanent, Transient
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.sync.store import Files, Imports

EVERY_SECONDS = 600.0

log = structlog.get_logger()


@dataclass
class Cleaning:
    """A part that deletes old files now and then. Several at once do no harm."""

    imports: Imports
    files: Files
    days: float
    name: str = "cleaning"
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Begin; neither Postgres nor the object store need be there."""
        self._task = asyncio.create_task(self._loop())

    async def stop(self) -> None:
        """Stop in the middle: the rest is deleted next time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """Dead when the loop has ended, which it does not by itself."""
        return "the cleaning has ended" if self._task is not None and self._task.done() else None

    def ready(self) -> str | None:
        """Nobody waits for a cleaning."""
        return None

    async def clean(self) -> int:
        """Delete the files whose time has come; return how many."""
        deleted = 0
        while due := await self.imports.with_old_files(self.days):
            for identity, bucket, key in due:
                await self.files.delete(bucket, key)
                await self.imports.file_deleted(identity)
                log.info("sync.file_deleted", import_id=identity, key=key)
            deleted += len(due)
        return deleted

    async def _loop(self) -> None:
        while True:
            try:
                await self.clean()
            except (Transient, Permanent, *UNAVAILABLE) as error:
                log.warning("sync.cleaning_failed", error=str(error))
            except Exception:
                log.exception("sync.cleaning_failed")
            await asyncio.sleep(EVERY_SECONDS)
