"""Deletion of the files of runs when a user is erased: they have rows of all users."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from services.trainer.domain import run_prefix
from services.trainer.store import Erasures, Files, Runs

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FileErasure:
    """Deletes the files of the runs that started before the erasure of a user.

    A run that is running continues, and its files stay for `load_seconds` after its end, so that the loader
    can read its lists; the loader excludes erased users.
    """

    runs: Runs
    files: Files
    erasures: Erasures
    load_seconds: float

    async def run(self) -> None:
        """Delete the files that are due; an interrupted deletion is repeated by the next call."""
        for tenant, before in await self.erasures.due(self.load_seconds):
            runs = await self.erasures.runs_before(tenant, before)
            for run in runs:
                await self.files.delete(run_prefix(tenant, run))
                await self.runs.mark_files_removed(run)
            await self.erasures.end(tenant, before, len(runs))
            log.info("trainer.users_erased", tenant=tenant, runs=runs)
