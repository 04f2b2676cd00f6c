"""Automatic training: a solution gets its first version within an hour, and then one a week.

A version that a caller creates postpones the next automatic one, so the two do not compete. Recommenders are
trained weekly too. Models with incremental updates are renewed while items change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from services.engine.domain.resources import Resource
from services.engine.domain.state import Recommender, ResourceState, Solution, SolutionVersion
from services.engine.personalize import incremental_updates, recommender_trainings, solution_versions
from services.engine.personalize.context import OperationContext
from services.engine.personalize.outbox_publisher import OutboxPublisher
from services.engine.settings import Settings
from services.engine.store.due_trainings import (
    lock_due_recommenders,
    lock_due_solutions,
    lock_versions_with_new_items,
)
from services.engine.store.resources import in_account_of
from shared.aws import PageTokens
from shared.postgres import UNAVAILABLE, Database

if TYPE_CHECKING:
    from shared.postgres import Connection

EVERY_SECONDS = 60.0

log = structlog.get_logger()

Enqueue = Callable[[OperationContext, Resource], Awaitable[ResourceState]]


@dataclass(frozen=True, slots=True)
class AutoTraining:
    """Creates the trainings that are due. Several workers at once create none twice."""

    database: Database
    settings: Settings

    async def begin_due(self) -> list[str]:
        """Queue a training for each solution, recommender and model that is due; return their ARNs."""
        minutes = self.settings.renewal_minutes
        async with self.database.transaction() as connection:
            trainings = [
                *await self._begin(connection, await lock_due_solutions(connection), _train_solution),
                *await self._begin(connection, await lock_due_recommenders(connection), _train_recommender),
                *await self._begin(
                    connection, await lock_versions_with_new_items(connection, minutes), _renew_model
                ),
            ]
        arns = [str(training.arn) for training in trainings]
        for arn in arns:
            log.info("engine.auto_training", training=arn)
        return arns

    async def _begin(
        self, connection: Connection, due: Sequence[Resource], enqueue: Enqueue
    ) -> list[ResourceState]:
        """Queue trainings; a resource for which that fails is skipped until the next round."""
        trainings = []
        for resource in due:
            try:
                async with connection.transaction():
                    trainings.append(await enqueue(self._context(connection, resource), resource))
            except UNAVAILABLE:
                raise
            except Exception:
                log.exception("engine.auto_training_failed", resource=resource.arn)
        return trainings

    def _context(self, connection: Connection, resource: Resource) -> OperationContext:
        account = in_account_of(connection, resource)
        return OperationContext(account, self.settings, PageTokens(), OutboxPublisher(connection))


async def _train_solution(context: OperationContext, row: Resource) -> ResourceState:
    solution = Solution.of(row)
    request = solution_versions.CreateSolutionVersion(solution_arn=str(solution.arn))
    return await solution_versions.enqueue(context, solution, request, "AUTOMATIC")


async def _train_recommender(context: OperationContext, row: Resource) -> ResourceState:
    recommender = Recommender.of(row)
    return await recommender_trainings.enqueue(context, recommender, recommender.config)


async def _renew_model(context: OperationContext, row: Resource) -> ResourceState:
    return await incremental_updates.enqueue(context, SolutionVersion.of(row))
