"""Concurrent calls that send to Kafka, in groups: one enqueues, waits and has a timer for all of its calls.

A request to Kafka costs as much CPU as fifty records, and a timer and a wait as much as one. With `linger_ms`
aiokafka delays the first record after a pause as much as any other. Here only records that come right after a
group wait, so that a single click is sent at once and a burst shares its requests.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shared.kafka.records import Record

GATHER_SECONDS: Final = 0.005
"""The least time between two groups, and so the longest delay that grouping causes; arbitrary."""

Sent = asyncio.Future[Any]
"""The future of a batch of aiokafka, which ends when Kafka has confirmed or refused its records."""

Enqueue = Callable[[str, Sequence["Record"]], list[Sent]]
"""Appends records of a topic to batches without waiting; returns the batches of the first ones that fit."""


@dataclass(slots=True, eq=False)
class _Call:
    topic: str
    records: Sequence[Record]
    deadline: float
    sent: list[Sent]
    ended: asyncio.Future[int]
    """The number of records that were enqueued, all of which Kafka has confirmed."""
    left: int = 0
    """Batches that have not ended."""

    def end(self, error: BaseException | None) -> None:
        """Count an ended batch; the first error ends the call."""
        if self.ended.done():
            return
        if error is not None:
            self.ended.set_exception(copy.copy(error))  # each call adds its own traceback to it
            return
        self.left -= 1
        if not self.left:
            self.ended.set_result(len(self.sent))


@dataclass(slots=True, eq=False)
class _Group:
    calls: list[_Call] = field(default_factory=list)
    left: int = 0
    """Batches that have not ended."""
    timer: asyncio.TimerHandle | None = None

    def batch_ended(self, calls: list[_Call], batch: Sent) -> None:
        error = asyncio.CancelledError() if batch.cancelled() else batch.exception()
        for call in calls:
            call.end(error)
        self.left -= 1
        if not self.left and self.timer is not None:
            self.timer.cancel()

    def expire(self) -> None:
        """End the calls whose deadline is over with a TimeoutError; wait for that of the others."""
        now = asyncio.get_running_loop().time()
        for call in self.calls:
            if call.deadline <= now and not call.ended.done():
                call.ended.set_exception(TimeoutError())
        self.set_timer()

    def set_timer(self) -> None:
        """Call `expire` at the next deadline, if a call waits."""
        deadlines = [call.deadline for call in self.calls if not call.ended.done()]
        if deadlines:
            self.timer = asyncio.get_running_loop().call_at(min(deadlines), self.expire)


class SendGroups:
    """Sends the records of calls in groups: the first call after a pause at once, others with the next."""

    def __init__(self, enqueue: Enqueue, seconds: float = GATHER_SECONDS) -> None:
        """Enqueue groups at least `seconds` apart."""
        self._enqueue = enqueue
        self._seconds = seconds
        self._next_at = 0.0
        self._calls: list[_Call] = []

    async def send(self, topic: str, records: Sequence[Record], sent: list[Sent], deadline: float) -> int:
        """Return how many records, from the first on, were enqueued without waiting; Kafka confirmed them.

        `sent` receives the batch of each of them, which shows the progress of an interrupted call. Raises
        TimeoutError at the deadline, in seconds of the loop's clock, and the error of a batch.
        """
        loop = asyncio.get_running_loop()
        call = _Call(topic, records, deadline, sent, loop.create_future())
        if not self._calls:
            now = loop.time()
            if now >= self._next_at:
                loop.call_soon(self._release)
            else:
                loop.call_at(self._next_at, self._release)
        self._calls.append(call)
        return await call.ended

    def _release(self) -> None:
        """Enqueue the records of the waiting calls, in the order of the calls."""
        self._next_at = asyncio.get_running_loop().time() + self._seconds
        group, self._calls = _Group(self._calls), []
        waiting: dict[Sent, list[_Call]] = {}
        for call in group.calls:
            if call.ended.done():  # cancelled
                continue
            try:
                call.sent += self._enqueue(call.topic, call.records)
            except Exception as error:  # noqa: BLE001 - it ends this call alone
                call.ended.set_exception(error)
                continue
            batches = set(call.sent)
            call.left = len(batches)
            for batch in batches:
                waiting.setdefault(batch, []).append(call)
            if not batches:
                call.ended.set_result(0)
        group.left = len(waiting)
        for batch, calls in waiting.items():
            batch.add_done_callback(partial(group.batch_ended, calls))
        group.set_timer()
