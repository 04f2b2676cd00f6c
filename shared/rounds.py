"""Something that is done again and again, as a part of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shared.errors import EndcapError
from shared.observability import counter
from shared.postgres import UNAVAILABLE

MAX_PAUSE_SECONDS = 30.0

FAILED = counter("endcap_rounds_failed_total", "Rounds that failed and are done again.", ["part"])

log = structlog.get_logger()


class Rounds:
    """Calls `work` every so many seconds, less often while that fails. No failure ends it.

    Every process of a service may do the same rounds at the same time: `work` must bear that.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], *, seconds: float) -> None:
        self.name = name
        self._work = work
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with a round at once: it may mend what an earlier process was cut off in."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; a round that is cut off is made good by the next one."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """Dead when the loop has ended by itself, which it never should."""
        ended = self._task is not None and self._task.done() and not self._task.cancelled()
        return f"{self.name} has ended" if ended else None

    def ready(self) -> str | None:
        """Nobody waits for it."""
        return None

    async def _run(self) -> None:
        pause = self._seconds
        while True:
            try:
                await self._work()
                pause = self._seconds
            except Exception as error:
                FAILED.labels(self.name).inc()
                pause = max(self._seconds, min(MAX_PAUSE_SECONDS, pause * 2))
                expected = isinstance(error, (EndcapError, *UNAVAILABLE))
                log.warning(
                    "rounds.failed",
                    part=self.name,
                    error=str(error),
                    pause=pause,
                    exc_info=None if expected else error,
                )
            await asyncio.sleep(pause)
