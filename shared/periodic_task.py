"""A function that a process calls every few seconds, as one of its parts.

See docs/decisions/0009-jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog

from shared.errors import EndcapError
from shared.observability import counter
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from shared.postgres import Notice

MAX_PAUSE_SECONDS: Final = 30.0
"""The longest pause after failures, unless the period itself is longer; arbitrary."""

FAILED = counter("endcap_rounds_failed_total", "Runs of a periodic task that failed.", ["part"])

log = structlog.get_logger()


class PeriodicTask:
    """Calls `work` every `seconds`, and less often while it fails. No failure of `work` ends the task.

    With `notices`, a notice of Postgres ends a pause, except for the one after a failure.

    Several processes of a service may run the same task at the same time, so `work` must tolerate that.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        *,
        seconds: float,
        notices: Callable[[], Notice] | None = None,
    ) -> None:
        self.name = name
        self._notices = notices
        self._work = work
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start, with a first call at once: it may complete what an earlier process left unfinished."""
        notice = self._notices() if self._notices is not None else None
        self._task = asyncio.create_task(self._run(notice), name=self.name)

    async def stop(self) -> None:
        """Cancel the task; a later call repeats what was cut off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """Return a reason to restart if the loop has ended by itself, which only a defect can cause."""
        ended = self._task is not None and self._task.done() and not self._task.cancelled()
        return f"{self.name} has ended" if ended else None

    def ready(self) -> str | None:
        """Return None: no request depends on a periodic task."""
        return None

    async def _run(self, notice: Notice | None) -> None:
        pause = self._seconds
        while True:
            if notice is not None:
                notice.clear()
            try:
                await self._work()
                pause = self._seconds
            except Exception as error:
                FAILED.labels(self.name).inc()
                pause = max(self._seconds, min(MAX_PAUSE_SECONDS, pause * 2))
                is_expected = isinstance(error, (EndcapError, *UNAVAILABLE))
                log.warning(
                    "periodic_task.failed",
                    part=self.name,
                    error=str(error),
                    pause_seconds=pause,
                    exc_info=None if is_expected else error,
                )
                await asyncio.sleep(pause)
                continue
            if notice is None:
                await asyncio.sleep(pause)
            else:
                await notice.wait(pause)
