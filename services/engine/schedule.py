"""Automatic training: a solution gets a version within an hour after it was made, and then weekly.

A manual version moves the next automatic one back, so the two never meet. Recommenders train weekly too, and
models with incremental updates are made anew while items come in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from services.engine.domain.resources import Resource
from services.engine.personalize import incremental_updates, recommender_trainings, solution_versions
from services.engine.personalize.context import OperationContext
from services.engine.personalize.dispatcher import OutboxPublisher
from services.engine.settings import Settings
from services.engine.store import resources
from shared.aws import PageTokens
from shared.postgres import UNAVAILABLE, Database

if TYPE_CHECKING:
    from shared.postgres import Connection

EVERY_SECONDS = 60.0

log = structlog.get_logger()

Make = Callable[[OperationContext, Resource], Awaitable[Resource]]


@dataclass(frozen=True, slots=True)
class AutoTraining:
    """Makes the versions that are due. Several at once make none twice."""

    database: Database
    settings: Settings

    async def begin_due(self) -> list[str]:
        """Train each solution and recommender that is due; gives the ARNs of the trainings."""
        minutes = self.settings.renewal_minutes
        async with self.database.transaction() as connection:
            begun = [
                await self._begin(connection, resource, make)
                for due, make in (
                    (resources.lock_due_solutions, _version),
                    (resources.lock_due_recommenders, _training),
                    (
                        partial(resources.lock_versions_with_new_items, minutes=minutes),
                        incremental_updates.enqueue,
                    ),
                )
                for resource in await due(connection)
            ]
        arns = [training.arn for training in begun if training is not None]
        for arn in arns:
            log.info("engine.auto_training", training=arn)
        return arns

    async def _begin(self, connection: Connection, resource: Resource, make: Make) -> Resource | None:
        """One that can't be begun is left for the next round, and does not hold up the others."""
        try:
            async with connection.transaction():
                return await make(self._context(connection, resource), resource)
        except UNAVAILABLE:
            raise
        except Exception:
            log.exception("engine.auto_training_failed", resource=resource.arn)
            return None

    def _context(self, connection: Connection, resource: Resource) -> OperationContext:
        beside = resources.in_account_of(connection, resource)
        return OperationContext(beside, self.settings, PageTokens(), OutboxPublisher(connection))


async def _version(context: OperationContext, solution: Resource) -> Resource:
    request = solution_versions.CreateSolutionVersion(solution_arn=solution.arn)
    return await solution_versions.enqueue(context, solution, request, "AUTOMATIC")


async def _training(context: OperationContext, recommender: Resource) -> Resource:
    config = recommender.document.get("recommenderConfig", {})
    return await recommender_trainings.enqueue(context, recommender, config)
