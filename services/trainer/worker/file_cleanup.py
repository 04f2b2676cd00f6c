"""Deletion of the files of old runs: a snapshot of a large shop has gigabytes."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from services.trainer.domain import run_prefix
from services.trainer.store import Files, Runs

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FileCleanup:
    """Keeps the files of the newest `keep` runs of each tenant."""

    runs: Runs
    files: Files
    keep: int

    async def run(self) -> None:
        """Delete the files of old runs; an interrupted deletion is repeated by the next call."""
        for run, tenant in await self.runs.with_old_files(self.keep):
            await self.files.delete(run_prefix(tenant, run))
            await self.runs.mark_files_removed(run)
            log.info("trainer.files_removed", tenant=tenant, run=run)
