"""The files of old runs go: a snapshot of a large shop is gigabytes."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from services.trainer.domain import run_prefix
from services.trainer.store import Files, Runs

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Cleaning:
    """Keeps the files of each tenant's newest runs."""

    runs: Runs
    files: Files
    keep: int

    async def clean(self) -> None:
        """One round; a run whose files were removed by halves is found again by the next one."""
        for run, tenant in await self.runs.to_clean(self.keep):
            await self.files.remove(run_prefix(tenant, run))
            await self.runs.cleaned(run)
            log.info("trainer.files_removed", tenant=tenant, run=run)
