"""Admission: the number of requests in progress above which new ones would wait for too long.

The wait is the number of requests in progress, divided by the answers a second (Little's law). While the
event loop is late most of the time, for whatever reason, the answers a second are all that the process can
give, so the wait of a new request is known before it begins. A process whose loop is in time waits for
others, such as Kafka; then more requests at once are what helps, and there is no limit.
See docs/decisions/0015-http-limits.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_SECONDS: Final = 0.1
"""Time over which the lateness of the loop is averaged; arbitrary."""

BUSY_WINDOWS: Final = 3
"""Busy windows in a row before there is a limit: one pause of the machine refuses nothing. Arbitrary."""

RATE_WINDOWS: Final = 5
"""The last windows that the answers a second are taken from; arbitrary."""

BUSY_SHARE: Final = 0.5
"""Share of a window in which the loop is late, from which on the window is busy; arbitrary."""

LEAST: Final = 64
"""The lowest limit; arbitrary, as many as a few hosts have connections in their pools."""


class Admission:
    """The limit of one process."""

    def __init__(self, most_wait_seconds: float, answered: Callable[[], int]) -> None:
        """Let requests wait for `most_wait_seconds`; `answered` returns the answers given so far."""
        self.most: int | None = None
        """The requests that may be in progress; None without a limit."""
        self._most_wait = most_wait_seconds
        self._answered = answered
        self._late = 0.0
        self._windows: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOWS + 1)
        """The end of each busy window, after the begin of the first, and the answers given until then."""

    def begin(self, now: float) -> None:
        """Begin to measure."""
        self.most, self._late = None, 0.0
        self._windows.clear()
        self._windows.append((now, self._answered()))

    def observe(self, late: float, now: float) -> None:
        """Count one measurement of the loop, `late` by so many seconds."""
        self._late += late
        begin, _ = self._windows[-1]
        if now - begin < WINDOW_SECONDS:
            return
        is_busy = self._late >= BUSY_SHARE * (now - begin)
        self._late = 0.0
        if not is_busy:
            self.begin(now)
            return
        self._windows.append((now, self._answered()))
        if len(self._windows) > BUSY_WINDOWS:
            first, answered = self._windows[0]
            rate = (self._windows[-1][1] - answered) / (now - first)
            self.most = max(LEAST, round(rate * self._most_wait))
