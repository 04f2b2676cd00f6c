"""The schedule: at its times a run is requested for each tenant with data, once for all workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from cronsim import CronSim

INTERVAL_SECONDS = 5.0

log = structlog.get_logger()


def due_time(expression: str, now: datetime, catch_up: timedelta) -> datetime | None:
    """Return the last time of a cron expression up to `now`; None if it is longer ago than `catch_up`."""
    latest: datetime = next(CronSim(expression, now + timedelta(minutes=1), reverse=True))
    return latest if now - catch_up <= latest <= now else None


class Schedule:
    """The times at which runs are due."""

    def __init__(
        self, expression: str, catch_up: timedelta, request_runs: Callable[[datetime], Awaitable[list[int]]]
    ) -> None:
        """Call `request_runs` with each due time, possibly more than once: it must be idempotent."""
        self._expression = expression
        self._catch_up = catch_up
        self._request_runs = request_runs

    async def run(self) -> None:
        """Request the runs that are due now."""
        await self.request_due(datetime.now(UTC))

    async def request_due(self, now: datetime) -> list[int]:
        """Request the runs that are due at `now` and return their numbers."""
        due = due_time(self._expression, now, self._catch_up) if self._expression else None
        runs = await self._request_runs(due) if due is not None else []
        if due is not None and runs:
            log.info("trainer.scheduled", due=due.isoformat(), runs=runs)
        return runs
