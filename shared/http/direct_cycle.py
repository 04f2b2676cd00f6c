"""One request whose answer is direct: see `shared.http.direct`."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import structlog

from shared.http.answer_times import OK

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from shared.http.direct import DirectLine

log = structlog.get_logger()


class DirectCycle:
    """One request whose answer is direct, with the attributes that uvicorn reads of a cycle.

    It drives the coroutine without a task, which would take a tenth of the time of a small answer. What only
    a task can await fails, and the application answers then.
    """

    __slots__ = (
        "_began",
        "_coroutine",
        "_line",
        "answer",
        "disconnected",
        "headers",
        "is_done",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
        "url",
    )

    def __init__(
        self,
        line: DirectLine,
        url: bytes,
        headers: list[tuple[bytes, bytes]],
        coroutine: Coroutine[Any, Any, bytes | None],
    ) -> None:
        self._began = perf_counter()
        self._line = line
        self._coroutine = coroutine
        self.url = url
        self.headers = headers
        self.answer: bytes | None = None
        self.is_done = False
        self.disconnected = False
        self.keep_alive = True
        self.more_body = False
        self.response_started = False
        self.response_complete = False

    @property
    def message_event(self) -> DirectCycle:
        """Return something to set: nobody waits for the body of the request."""
        return self

    def set(self) -> None:
        """Do nothing."""

    def step(self, _: object = None) -> None:
        """Continue the coroutine until it waits for a future or returns the answer."""
        try:
            future = self._coroutine.send(None)
        except StopIteration as returned:
            if (answer := returned.value) is not None:
                self.answer = answer
                OK.observe(perf_counter() - self._began)
        except Exception as error:  # noqa: BLE001 - the application meets it again, and answers it
            log.debug("http.direct_failed", error=repr(error))
        else:
            if future is None:  # asyncio.sleep(0)
                self._line.call_soon(self.step)
            else:
                future._asyncio_future_blocking = False  # noqa: SLF001 - as a task does
                future.add_done_callback(self.step)
            return
        self._end()

    def cancel(self, msg: object = None) -> None:  # noqa: ARG002 - as uvicorn calls it
        """Give up, because the process stops; uvicorn walks through the tasks meanwhile."""
        self._coroutine.close()
        self.keep_alive = False
        self._line.call_soon(self._end)

    def _end(self) -> None:
        self.is_done = True
        self._line.tasks.discard(self)
        self._line.answered()
