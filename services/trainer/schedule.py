"""The clock: at its times every tenant that has data gets a run, once, however many workers there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from cronsim import CronSim

LOOK_SECONDS = 5.0

log = structlog.get_logger()


def due_time(expression: str, now: datetime, catch_up: timedelta) -> datetime | None:
    """The latest time of the schedule that is past, unless it is longer past than `catch_up`."""
    latest: datetime = next(CronSim(expression, now + timedelta(minutes=1), reverse=True))
    return latest if now - catch_up <= latest <= now else None


class Schedule:
    """The times at which runs are due."""

    def __init__(
        self, expression: str, catch_up: timedelta, ask: Callable[[datetime], Awaitable[list[int]]]
    ) -> None:
        """`ask` is called with a time that is due, and knows itself whether it was asked before."""
        self._expression = expression
        self._catch_up = catch_up
        self._ask = ask

    async def look_now(self) -> None:
        """Ask for what is due by the clock."""
        await self.look(datetime.now(UTC))

    async def look(self, now: datetime) -> list[int]:
        """Ask for what is due; gives the numbers of the runs."""
        due = due_time(self._expression, now, self._catch_up) if self._expression else None
        runs = await self._ask(due) if due is not None else []
        if due is not None and runs:
            log.info("trainer.scheduled", due=due.isoformat(), runs=runs)
        return runs
