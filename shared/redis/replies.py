"""Replies of Redis, which come in the order of the commands, and two kinds of failure."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import hiredis

from shared.errors import Permanent, Transient

_BUSY = (
    "LOADING", "OOM", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS",
    # A password or its rights are being changed: the command is valid.
    "NOAUTH", "WRONGPASS", "NOPERM",
)  # fmt: skip


class Unavailable(Transient):
    """Redis is not reachable, too slow, or can't run the command now; the outcome of a write is unknown."""


class Moved(Unavailable):
    """A node of a cluster does not serve the slot of a key; with `is_asking` only this key has moved."""

    def __init__(self, slot: int, host: str, port: int, *, is_asking: bool) -> None:
        super().__init__("the slot is on another node of the cluster: its address is redis+cluster://…")
        self.slot = slot
        self.host = host
        self.port = port
        self.is_asking = is_asking


class Demoted(Unavailable):
    """The server has become a replica, which refuses writes."""


class CommandRefused(Permanent):
    """Redis answered one of the commands with an error: the command is invalid, and a retry won't help."""


class Call:
    """One `execute`: its future, and the number of its replies.

    A call that has timed out stays in the line, so that its late replies are not taken for another call's.
    """

    __slots__ = ("count", "deadline", "future", "replies", "sent_at")

    def __init__(
        self, future: asyncio.Future[list[Any]], count: int, sent_at: float, deadline: float
    ) -> None:
        """Expect `count` replies; times are in seconds of the loop's clock."""
        self.future = future
        self.count = count
        self.sent_at = sent_at
        self.deadline = deadline
        self.replies: list[Any] = []

    def settle(self) -> Exception | None:
        """Set the replies as the result, or the first error among them as the exception; return that."""
        if self.future.done():
            return None
        for reply in self.replies:
            if type(reply) is hiredis.ReplyError:
                error = _error(str(reply))
                self.future.set_exception(error)
                return error
        self.future.set_result(self.replies)
        return None


class Line:
    """The calls of one connection in the order in which they were sent, which is that of the replies."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self.calls: deque[Call] = deque()
        self.is_demoted = False

    def feed(self, data: bytes) -> Call | None:
        """Parse bytes of the connection; return the last call that they completed, if any.

        Raises hiredis.ProtocolError for bytes that are not RESP, or for a reply without a command.
        """
        reader, calls, completed = self._reader, self.calls, None
        reader.feed(data)
        while (reply := reader.gets()) is not False:
            if not calls:
                message = "a reply without a command"
                raise hiredis.ProtocolError(message)
            call = calls[0]
            call.replies.append(reply)
            if len(call.replies) == call.count:
                calls.popleft()
                if (error := call.settle()) is not None and type(error) is Demoted:
                    self.is_demoted = True
                completed = call
        return completed

    def fail(self, error: Exception) -> None:
        """Fail every waiting call with `error`."""
        while self.calls:
            call = self.calls.popleft()
            if not call.future.done():
                call.future.set_exception(error)

    def expire(self, limit: float) -> int:
        """Fail the calls whose deadline is not after `limit`; return their number."""
        expired = 0
        for call in self.calls:
            if call.deadline > limit:
                break
            if not call.future.done():
                call.future.set_exception(Unavailable("Redis did not answer in time"))
                expired += 1
        return expired


def _error(text: str) -> Exception:
    if text.startswith(("MOVED ", "ASK ")):
        kind, slot, address = text.split(" ")[:3]
        host, _, port = address.rpartition(":")
        return Moved(int(slot), host, int(port), is_asking=kind == "ASK")
    if text.startswith("READONLY"):
        return Demoted(f"Redis can't do this now: {text}")
    if text.startswith(_BUSY):
        return Unavailable(f"Redis can't do this now: {text}")
    return CommandRefused(f"Redis refused the command: {text}")
