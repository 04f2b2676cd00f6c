"""Automatic training: a solution gets a version within an hour after it was made, and then weekly.

A manual version moves the next automatic one back, so the two never meet. Recommenders train weekly too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from services.engine.domain.resources import Resource
from services.engine.personalize import recommender_trainings, versions
from services.engine.personalize.control import Control
from services.engine.personalize.surface import OutboxAnnounce
from services.engine.settings import Settings
from services.engine.store import resources
from shared.personalize import PageTokens, WireError
from shared.postgres import UNAVAILABLE, Database

if TYPE_CHECKING:
    from shared.postgres import Connection

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
        """Train each solution and recommender that is due; gives the ARNs of the trainings."""
        begun = []
        async with self.database.transaction() as connection:
            for solution in await resources.solutions_due(connection):
                request = versions.CreateSolutionVersion(solution_arn=solution.arn)
                control = self._control(connection, solution)
                begun.append(await versions.make(control, solution, request, "AUTOMATIC"))
            for recommender in await resources.recommenders_due(connection):
                config = recommender.document.get("recommenderConfig", {})
                control = self._control(connection, recommender)
                begun.append(await recommender_trainings.make(control, recommender, config))
        for training in begun:
            log.info("engine.auto_training", training=training.arn)
        return [training.arn for training in begun]

    def _control(self, connection: Connection, resource: Resource) -> Control:
        beside = resources.beside(connection, resource)
        return Control(beside, self.settings, PageTokens(), OutboxAnnounce(connection))
