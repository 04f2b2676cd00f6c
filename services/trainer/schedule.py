"""The clock: at its times every tenant that has data gets a run, once, however many workers there are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from cronsim import CronSim

from services.trainer import metrics
from shared.errors import Transient
from shared.postgres import UNAVAILABLE

LOOK_SECONDS = 5.0

log = structlog.get_logger()


def due_time(expression: str, now: datetime, catch_up: timedelta) -> datetime | None:
    """The latest time of the schedule that is past, unless it is longer past than `catch_up`."""
    latest: datetime = next(CronSim(expression, now + timedelta(minutes=1), reverse=True))
    return latest if now - catch_up <= latest <= now else None


class Schedule:
    """Looks at the clock every few seconds, and does the rounds that must be done anyway. A part."""

    name = "schedule"

    def __init__(
        self,
        expression: str,
        catch_up: timedelta,
        ask: Callable[[datetime], Awaitable[list[int]]],
        rounds: Callable[[], Awaitable[None]],
    ) -> None:
        """`ask` is called with a time that is due, and knows itself whether it was asked before."""
        self._expression = expression
        self._catch_up = catch_up
        self._ask = ask
        self._rounds = rounds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """Dead when the loop has ended by itself, which it never should."""
        return "the schedule has ended" if self._task is not None and self._task.done() else None

    def ready(self) -> str | None:
        """Nobody waits for it."""
        return None

    async def look(self, now: datetime) -> list[int]:
        """Ask for what is due; gives the numbers of the runs."""
        due = due_time(self._expression, now, self._catch_up) if self._expression else None
        runs = await self._ask(due) if due is not None else []
        if due is not None and runs:
            log.info("trainer.scheduled", due=due.isoformat(), runs=runs)
        return runs

    async def _run(self) -> None:
        while True:
            try:
                await self.look(datetime.now(UTC))
                await self._rounds()
            except (Transient, *UNAVAILABLE) as away:
                metrics.ROUNDS_FAILED.inc()
                log.warning("trainer.schedule_waits", error=str(away))
            except Exception:
                metrics.ROUNDS_FAILED.inc()
                log.exception("trainer.schedule_failed")
            await asyncio.sleep(LOOK_SECONDS)
