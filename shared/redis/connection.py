"""One connection to a Redis server, on which the commands of many callers are written together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import hiredis
import structlog

from shared.redis.replies import Call, Line, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Argument = bytes | str | int | float

TRIPS_AT = 5
"""Calls in a row without a reply that open the breaker; arbitrary."""

PROBE_SECONDS = 0.1
"""The interval of probes while the breaker is open; arbitrary."""

SILENCE_SECONDS = 2.0
"""A connection without an expected reply for this long is replaced; arbitrary."""

DEMOTED_SECONDS = 2.0
"""A connection of this age is replaced when its server has become a replica; arbitrary."""

log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """The asyncio protocol of one connection."""

    def __init__(self, timeout: float, breaker: Callable[[Connection, bool], None]) -> None:
        self._timeout = timeout
        self._breaker = breaker
        self._loop = asyncio.get_running_loop()
        self._line = Line()
        self._calls = self._line.calls
        self._outbox: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._closed = self._loop.create_future()
        self._ended = False
        self._sweeping = False
        self._swept_at = 0.0
        self._unanswered = 0
        self._probing = False
        self._made_at = self._loop.time()

    def send(
        self, commands: Sequence[Sequence[Argument]], timeout: float | None = None
    ) -> asyncio.Future[list[Any]]:
        """Queue the commands for this iteration of the loop; raises Unavailable once the connection is lost.

        `timeout` is in seconds, by default that of the connection.
        """
        if self._ended:
            raise Unavailable("the connection to Redis was lost")
        loop = self._loop
        future: asyncio.Future[list[Any]] = loop.create_future()
        now = loop.time()
        self._calls.append(Call(future, len(commands), now, now + (timeout or self._timeout)))
        outbox = self._outbox
        if not outbox:
            loop.call_soon(self._flush)
        for command in commands:
            packed = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]
            outbox.append(packed)
        if not self._sweeping:
            self._sweep_later(now)
        return future

    async def lost(self) -> None:
        """Return when the connection is lost."""
        await asyncio.shield(self._closed)

    def close(self) -> None:
        """Abort the connection and fail the waiting calls."""
        if self._transport is not None:
            self._transport.abort()
        self._end(Unavailable("the connection to Redis was closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        # uvloop's transport has the methods of asyncio.Transport without being one.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Return replies to their callers; a reply in time closes the breaker."""
        try:
            completed = self._line.feed(data)
        except hiredis.ProtocolError as error:
            log.error("redis.protocol_error", error=str(error))  # noqa: TRY400 - a traceback adds nothing
            self.close()
            return
        if completed is not None and self._unanswered:
            self._judge(completed)
        if self._line.is_demoted:
            self._leave_replica()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the waiting calls."""
        self._end(Unavailable(f"the connection to Redis was lost: {exc or 'closed by the server'}"))

    def _leave_replica(self) -> None:
        """Close the connection, so that the next one is made to the server that has become the master."""
        self._line.is_demoted = False
        if self._loop.time() - self._made_at > DEMOTED_SECONDS:
            log.warning("redis.demoted")
            self.close()

    def _end(self, error: Exception) -> None:
        if not self._ended:
            self._ended = True
            self._breaker(self, False)
        self._line.fail(error)
        if not self._closed.done():
            self._closed.set_result(None)

    def _flush(self) -> None:
        outbox = self._outbox
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(outbox))
        outbox.clear()

    def _sweep_later(self, now: float) -> None:
        self._sweeping = True
        self._swept_at = now
        self._loop.call_later(self._timeout / 4, self._sweep)

    def _sweep(self) -> None:
        """Fail the calls that were due at the last sweep.

        Calls that became due since then get one more iteration of the loop: if the process itself was busy
        for long, their replies may be in the socket already.
        """
        self._sweeping = False
        if self._ended or not self._calls:
            return
        now = self._loop.time()
        self._unanswered += self._line.expire(self._swept_at)
        if now - self._calls[0].sent_at > max(SILENCE_SECONDS, 2 * self._timeout):
            log.warning("redis.silent", seconds=round(now - self._calls[0].sent_at, 1))
            self.close()
            return
        if self._unanswered >= TRIPS_AT and not self._probing:
            self._breaker(self, False)
            self._probing = True
            self._loop.call_later(PROBE_SECONDS, self._probe)
        self._sweep_later(now)

    def _probe(self) -> None:
        if self._ended or not self._probing:
            return
        # Nothing waits for a probe, so its exception is retrieved here.
        self.send([(b"PING",)]).add_done_callback(lambda future: future.exception())
        self._loop.call_later(PROBE_SECONDS, self._probe)

    def _judge(self, completed: Call) -> None:
        """Close the breaker if the reply came within the timeout; a late reply changes nothing."""
        if self._loop.time() - completed.sent_at <= self._timeout:
            self._unanswered = 0
            if self._probing:
                self._probing = False
                self._breaker(self, True)
