"""Answers that nobody sees: made in the background, after the answers that visitors get.

They are made one at a time; those for which there is no time are left out and counted. So neither a slow nor
a failing one changes an answer.

See docs/experiments.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from prometheus_client import Counter

MAX_WAITING: Final = 20
"""Requests that wait for unseen answers; later ones get none. Arbitrary."""
SECONDS: Final = 1.0
"""The longest time of a step. Arbitrary."""
PAUSE_SECONDS: Final = 0.005
"""Pause before each step, in which answers that visitors wait for come first. Arbitrary."""

Step = Callable[[], Awaitable[None]]

log = structlog.get_logger()


class UnseenAnswers:
    """Makes unseen answers in the background. A part that stops before the publisher does."""

    name = "unseen"

    def __init__(self) -> None:
        self._waiting: deque[tuple[Sequence[Step], Counter, str]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Take requests from now on."""
        self._stopping = False

    async def stop(self) -> None:
        """Leave out what waits."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=SECONDS)

    def alive(self) -> str | None:
        """Return None: what fails is counted."""
        return None

    def ready(self) -> str | None:
        """Return None: no answer waits for an unseen one."""
        return None

    def later(self, steps: Sequence[Step], outcomes: Counter, done: str) -> None:
        """Take the steps of a request later; `outcomes` counts them as `done`, failed or dropped."""
        if self._stopping:
            return
        if len(self._waiting) >= MAX_WAITING:
            outcomes.labels("dropped").inc()
            return
        self._waiting.append((steps, outcomes, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name=self.name)

    async def _work(self) -> None:
        while self._waiting:
            steps, outcomes, done = self._waiting.popleft()
            for step in steps:
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    async with asyncio.timeout(SECONDS):
                        await step()
                except Exception as error:  # noqa: BLE001 - whatever a variant does, shown answers go on
                    outcomes.labels("failed").inc()
                    log.warning("unseen.failed", error=repr(error))
                else:
                    outcomes.labels(done).inc()
