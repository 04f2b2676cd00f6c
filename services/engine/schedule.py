"""Automatic training: a solution that asks for it gets a version an hour after it was made, and then weekly.

A manual version moves the next automatic one back, so the two never meet.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from services.engine.personalize import versions
from services.engine.personalize.control import Control
from services.engine.personalize.surface import OutboxAnnounce
from services.engine.settings import Settings
from services.engine.store import resources
from shared.personalize import PageTokens, WireError
from shared.postgres import UNAVAILABLE, Database

EVERY_SECONDS = 60.0

log = structlog.get_logger()


@dataclass
class AutoTraining:
    """Makes the versions that are due. Several at once make none twice."""

    database: Database
    settings: Settings
    name: str = "auto-training"
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Begin; Postgres may come later."""
        self._task = asyncio.create_task(self._loop())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """The loop never ends by itself."""
        return "the loop of automatic training has ended" if self._task and self._task.done() else None

    def ready(self) -> str | None:
        """Nobody waits for a schedule."""
        return None

    async def _loop(self) -> None:
        while True:
            try:
                await self.begin_due()
            except (WireError, *UNAVAILABLE) as error:
                log.warning("engine.auto_training_put_off", error=str(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def begin_due(self) -> list[str]:
        """Make a version of each solution that is due; gives their ARNs."""
        begun = []
        async with self.database.transaction() as connection:
            for solution in await resources.solutions_due(connection):
                beside = resources.beside(connection, solution)
                control = Control(beside, self.settings, PageTokens(), OutboxAnnounce(connection))
                request = versions.CreateSolutionVersion(solution_arn=solution.arn)
                version = await versions.make(control, solution, request, "AUTOMATIC")
                log.info("engine.auto_training", solution=solution.arn, version=version.arn)
                begun.append(version.arn)
        return begun
