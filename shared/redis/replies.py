"""What comes back from Redis: replies in the order of their commands, and two kinds of failure."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import hiredis

from shared.errors import Permanent, Transient

_BUSY = (
    "LOADING", "OOM", "BUSY", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS",
    # A password or its rights are being changed: no command is to blame.
    "NOAUTH", "WRONGPASS", "NOPERM",
)  # fmt: skip


class Unavailable(Transient):
    """Redis is away, too slow, or can't take the command now; the outcome of a write is unknown."""


class CommandRefused(Permanent):
    """Redis answered one of the commands with an error: the command is wrong and will stay wrong."""


class Call:
    """One `execute`: its future, and how many replies are still to come for it.

    A call whose caller has given up stays in the line, so that its late replies are not taken for
    somebody else's.
    """

    __slots__ = ("count", "deadline", "future", "replies", "sent_at")

    def __init__(
        self, future: asyncio.Future[list[Any]], count: int, sent_at: float, deadline: float
    ) -> None:
        """Expect `count` replies; times are the loop's."""
        self.future = future
        self.count = count
        self.sent_at = sent_at
        self.deadline = deadline
        self.replies: list[Any] = []

    def settle(self) -> None:
        """Hand the replies to the caller, or the first error among them."""
        if self.future.done():
            return
        for reply in self.replies:
            if type(reply) is hiredis.ReplyError:
                self.future.set_exception(_error(str(reply)))
                return
        self.future.set_result(self.replies)


class Line:
    """The calls of one connection in the order in which they were sent: replies come in that order."""

    def __init__(self) -> None:
        """Nobody is waiting yet."""
        self._reader = hiredis.Reader()
        self.calls: deque[Call] = deque()

    def feed(self, data: bytes) -> Call | None:
        """Take bytes from the wire and return the last call that they completed, if any.

        Raises hiredis.ProtocolError for what is not RESP, or for a reply that nobody asked for.
        """
        reader, calls, completed = self._reader, self.calls, None
        reader.feed(data)
        while (reply := reader.gets()) is not False:
            if not calls:
                message = "a reply that answers no command"
                raise hiredis.ProtocolError(message)
            call = calls[0]
            call.replies.append(reply)
            if len(call.replies) == call.count:
                calls.popleft()
                call.settle()
                completed = call
        return completed

    def fail(self, error: Exception) -> None:
        """End every call that waits: the connection is gone."""
        while self.calls:
            call = self.calls.popleft()
            if not call.future.done():
                call.future.set_exception(error)

    def expire(self, limit: float) -> int:
        """Give up the calls whose deadline was before `limit`; return how many there were."""
        expired = 0
        for call in self.calls:
            if call.deadline > limit:
                break
            if not call.future.done():
                call.future.set_exception(Unavailable("Redis did not answer in time"))
                expired += 1
        return expired


def _error(text: str) -> Exception:
    if text.startswith(_BUSY):
        return Unavailable(f"Redis can't do this now: {text}")
    return CommandRefused(f"Redis refused the command: {text}")
