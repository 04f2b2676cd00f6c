"""The files of runs hold rows of every user: those of old runs go when a user is erased."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from services.trainer.domain import run_prefix
from services.trainer.store import Erasures, Files, Runs

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Erasing:
    """Removes the files of the runs that began before a user's erasure.

    A run that is at work goes on, and its files stay for `load_seconds` after it, so that the loader can read
    its lists; it leaves erased users out.
    """

    runs: Runs
    files: Files
    erasures: Erasures
    load_seconds: float

    async def erase(self) -> None:
        """One round; what was cut off is found again by the next one."""
        for tenant, before in await self.erasures.due(self.load_seconds):
            runs = await self.erasures.runs_before(tenant, before)
            for run in runs:
                await self.files.remove(run_prefix(tenant, run))
                await self.runs.cleaned(run)
            await self.erasures.end(tenant, before, len(runs))
            log.info("trainer.users_erased", tenant=tenant, runs=runs)
