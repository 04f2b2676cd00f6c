"""The wait of a run for the imports that its executions have asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from shared.errors import ApiError, Permanent, Transient

if TYPE_CHECKING:
    from services.trainer.store import Executions, ShopImports
    from services.trainer.worker.run_job import StepContext

POLL_SECONDS: Final = 0.5

IMPORTS: Final = "imports"
ENDED_AT: Final = "imports_ended_at"
"""Members of the step's detail: how each import ended, and when the wait for all of them did."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ImportWait:
    """Waits until the imports of a run's executions have ended; a failed one fails its executions alone."""

    executions: Executions
    imports: ShopImports
    max_wait: timedelta

    async def wait(self, context: StepContext) -> None:
        """Wait until no execution of the run has an import that is under way.

        Raises Permanent when nothing else has asked for the run than executions whose imports failed.
        """
        if ENDED_AT in context.detail:
            return
        while waiting := await self._waiting(context):
            if not all([await self._has_ended(context, identity) for identity in waiting]):
                await asyncio.sleep(POLL_SECONDS)
        # A worker that was killed may have failed the executions, and not yet the run.
        reason = await self.executions.failed_import(context.run.run)
        if reason is not None:
            raise Permanent(reason)
        if IMPORTS in context.detail:
            await context.report(None, **{ENDED_AT: datetime.now(UTC).isoformat()})

    async def _waiting(self, context: StepContext) -> list[str]:
        """Return the imports that have not ended, of executions that were not stopped."""
        ended = context.detail.get(IMPORTS, {})
        return [each for each in await self.executions.imports(context.run.run) if each not in ended]

    async def _has_ended(self, context: StepContext, identity: str) -> bool:
        """Return whether an import has ended, and store how; one that takes too long counts as failed."""
        try:
            state = await self.imports.state(context.run.tenant, identity)
            status, problem = state.status, state.problem
        except (ApiError, Transient) as error:
            status, problem = "running", str(error)
        if status == "running" and datetime.now(UTC) - context.started_at > self.max_wait:
            minutes = self.max_wait.total_seconds() / 60
            problem = f"it has not ended within {minutes:g} minutes{': ' if problem else ''}{problem}"
            status = "failed"
        if status == "running":
            return False
        if status == "failed":
            cause = f"the import {identity} failed: {problem}"
            await self.executions.fail_import(context.run.run, identity, cause)
            log.warning("trainer.import_failed", run=context.run.run, import_id=identity, problem=problem)
        await context.report(None, **{IMPORTS: {**context.detail.get(IMPORTS, {}), identity: status}})
        return True
