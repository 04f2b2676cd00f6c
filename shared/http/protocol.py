"""uvicorn's HTTP protocol with limits: bytes and number of headers, time for headers, bodies and answers.

uvicorn (0.54) has none of these with httptools: it collects headers without a limit, and keeps a connection
whose request does not arrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httptools

from shared.http.connections import PROBES, REFUSED, SWEEP_SECONDS, Phase
from shared.http.direct import MAX_PIPELINED, DirectLine, new_scope
from shared.http.refused import INVALID, NO_UPGRADE, TOO_MUCH_FRAMING, Refused, late_headers, slow_body
from shared.http.refusing import RefusingProtocol
from shared.http.trailers import NOTHING
from shared.http.writer import Writer

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from shared.http.connections import Connections

_FRAMING_BYTES: Final = 8
"""Bytes of framing per byte of body, at most: a chunk of one byte is `1\\r\\nx\\r\\n`."""
NEW, IDLE, HEAD, BODY, DRAIN, ANSWER, CLOSING = Phase  # module names, since an enum's lookup is slower
_READS_BODY: Final = (BODY, DRAIN)
_BETWEEN: Final = (IDLE, ANSWER)


class BoundedProtocol(RefusingProtocol):
    """One connection. `Connections` calls `check` twice a second.

    The first `check` in a phase records the time of its start, so that a request does not read the clock.
    """

    def __init__(self, shared: Connections, **options: Any) -> None:
        """`options` are those of uvicorn."""
        super().__init__(**options)
        self.phase = NEW
        self.since = 0.0
        self._shared = shared
        self._limits = shared.limits
        self.is_surplus = False
        self._client_host = ""
        self._raw = None  # type: ignore[assignment] # as uvicorn's own transport
        self._begun = 0  # messages of this connection
        self._head_bytes = 0  # of the message whose headers are coming
        self._body_bytes = 0  # of the message whose body is coming, without framing
        self._wire_bytes = 0  # the same with framing
        self._seen_bytes = 0  # of the body, by the last check
        self._lag_seconds = 0.0  # how far the body is behind the least rate
        self._unsent_bytes, self._stalled_seconds = 0, 0.0
        self._refusal: Refused | None = None
        self.answered: RequestResponseCycle | None = None  # the request whose answer is due
        self.line: DirectLine = None  # type: ignore[assignment] # made with the connection

    # The transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Count the connection, or abort it."""
        super().connection_made(transport)
        self._raw = transport
        self.line = DirectLine(self, transport, self._shared)
        self._writer = self.transport = Writer(self, transport)  # type: ignore[assignment] # what uvicorn uses
        self._client_host = self.client[0] if self.client else ""
        admitted = self._shared.add(self, self._client_host)
        self.is_surplus = not admitted
        if admitted is None:
            self.phase = CLOSING
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self.phase = CLOSING
        self._shared.remove(self, self._client_host)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse within the limits."""
        before = self.phase
        if before == CLOSING or (before in _BETWEEN and not (data := self.line.take_repeated(data))):
            return
        if self.phase <= HEAD and self._head_bytes + len(data) > self._limits.http_max_header_bytes:
            self._feed_in_pieces(memoryview(data))
            return
        self._feed(data)
        if before <= IDLE and self.phase == ANSWER:
            self.line.learn(data)

    def _feed_in_pieces(self, data: memoryview) -> None:
        """Parse data in pieces, none larger than the rest that the headers may have."""
        most = self._limits.http_max_header_bytes
        while data and self.phase != CLOSING:
            room = most - self._head_bytes if self.phase <= HEAD else len(data)
            self._feed(data[:room])
            data = data[room:]
            if self.phase == HEAD and self._head_bytes >= most:
                detail = f"The request line and headers have more than {most} bytes."
                self._refuse(Refused("header_bytes", 431, "HeadersTooLarge", detail))

    def _feed(self, data: bytes | memoryview) -> None:
        before, begun = self.phase, self._begun
        if before <= IDLE:
            self.phase, self.since, self._head_bytes = HEAD, 0.0, 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self.is_upgrade:  # any other request is answered as HTTP/1.1
                self._upgrade()
                return
        except httptools.HttpParserError:
            self._refuse(self._refusal or INVALID)
            return
        if self.phase == HEAD:
            # Of several requests in one piece only the last is incomplete; its number of bytes is unknown.
            begun = self._begun - begun
            if begun == 0 or (begun == 1 and before <= IDLE):
                self._head_bytes += len(data)
        elif before == self.phase and before in _READS_BODY:
            self._wire_bytes += len(data)
            if self._wire_bytes > _FRAMING_BYTES * self._body_bytes + self._limits.http_max_header_bytes:
                self._refuse(TOO_MUCH_FRAMING)

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin a request."""
        if max(len(self.pipeline), len(self.line.cycles) - 1) >= MAX_PIPELINED:
            raise self._refused("pipelined", 400, "TooManyRequests", "Too many requests without a pause.")
        self._begun += 1
        self._head_bytes = 0
        self.phase, self.since = HEAD, 0.0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Start the application, or refuse the request."""
        if len(self.headers) > (most := self._limits.http_max_headers):
            detail = f"The request has {len(self.headers)} headers; {most} are allowed."
            raise self._refused("headers", 431, "TooManyHeaders", detail)
        if self._shared.websocket is not None and self.wants_websocket():
            self.is_upgrade = True
            return
        self.phase, self.since = BODY, 0.0
        self._body_bytes = self._wire_bytes = self._seen_bytes = 0
        self._lag_seconds = 0.0
        overload = self._shared.overload(len(self.tasks) - self._shared.idle_tasks)
        if not overload and self.line.accept():
            self.headers = NOTHING
            return
        self.scope = new_scope(self, self.headers)  # type: ignore[assignment] # completed by uvicorn
        app = self.app
        if (overload or self.is_surplus) and self.url not in PROBES:
            if not self.is_surplus and self.can_turn_away():
                self.turn_away(self._shared.refusals, overload)
                return
            self.app = self._shared.busy
        super().on_headers_complete()
        self.app = app
        self.headers = NOTHING

    def on_body(self, body: bytes) -> None:
        """Count the bytes, and pass them on."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the answer, or for the next request after an early answer."""
        if self.answer_refused():
            self.phase, self.since = IDLE, 0.0
        elif not self.is_upgrade:
            self.phase, self.since = IDLE if self.phase == DRAIN else ANSWER, 0.0
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next request, or wait for it; after an early answer, read and drop the rest of the body.

        It replaces uvicorn's method, with phases instead of a timer.
        """
        self._writer.flush()
        self.server_state.total_requests += 1
        if self.is_closing():
            return
        self.flow.resume_reading()
        if not self.line.passed_on_is_sent():
            self.next_request()

    def next_request(self) -> None:
        """Start the next request of the pipeline, or wait for one."""
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.phase == ANSWER:
            self.phase, self.since = IDLE, 0.0
        elif self.phase == BODY:
            self.phase, self.since = DRAIN, 0.0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.answered = cycle
        super()._start_asgi_task(cycle, app)

    def _upgrade(self) -> None:
        if self.is_surplus or self._is_answering():
            self._refuse(NO_UPGRADE)
            return
        options = {"config": self.config, "server_state": self.server_state, "app_state": self.app_state}
        websocket = self._shared.upgraded(self, self._client_host, options)
        self.phase = CLOSING
        self.hand_over(websocket, self._raw)

    def _is_answering(self) -> bool:
        return bool(self.line.cycles) or not (self.answered is None or self.answered.response_complete)

    def _refused(self, reason: str, status: int, code: str, detail: str) -> Refused:
        """Return the exception for a callback of the parser, and keep it: the parser raises another one."""
        self._refusal = Refused(reason, status, code, detail)
        return self._refusal

    def check(self, now: float, allowed_seconds: tuple[float, ...]) -> None:
        """End the connection if it has been in its phase for too long, or does not read its answer."""
        phase = self.phase
        unsent = self._raw.get_write_buffer_size()
        if unsent or self._unsent_bytes:
            self._check_unsent(unsent)
        if self.since == 0.0:
            self.since = now
            return
        if phase == BODY:
            self._check_body(now, allowed_seconds[phase])
        elif now - self.since > allowed_seconds[phase]:
            self._time_out(phase)

    def _check_body(self, now: float, most_seconds: float) -> None:
        """Measure how far the body lags behind the least rate; time out beyond `most_seconds`."""
        if not self.flow.read_paused:  # otherwise the application does not read, and the client must wait
            new_seconds = (self._body_bytes - self._seen_bytes) / self._limits.http_body_bytes_per_second
            self._lag_seconds = max(self._lag_seconds + now - self.since - new_seconds, 0.0)
        self.since, self._seen_bytes = now, self._body_bytes
        if self._lag_seconds > most_seconds:
            self._time_out(BODY)

    def _check_unsent(self, unsent: int) -> None:
        is_stalled = 0 < unsent >= self._unsent_bytes
        self._stalled_seconds = self._stalled_seconds + SWEEP_SECONDS if is_stalled else 0.0
        self._unsent_bytes = unsent
        if self._stalled_seconds > self._limits.http_write_seconds:
            REFUSED.labels("unread_answer").inc()
            self._raw.abort()

    def _time_out(self, phase: Phase) -> None:
        match phase:
            case Phase.HEAD:
                self._refuse(late_headers(self._limits.http_header_seconds))
            case Phase.BODY:
                self._refuse(slow_body(self._limits.http_body_bytes_per_second))
            case Phase.CLOSING:
                self._raw.abort()
            case _:
                self._raw.close()

    def _refuse(self, refusal: Refused) -> None:
        """Answer instead of the application, and close the connection.

        There is no answer while that of an earlier request is being sent.
        """
        REFUSED.labels(refusal.reason).inc()
        can_answer, answered = self.phase == HEAD and not self._is_answering(), self.answered
        if answered is not None and not answered.response_complete:
            can_answer = self.phase == BODY and self.line.is_awaited(answered)
            answered.disconnected = True
            answered.message_event.set()
        self.pipeline.clear()
        self._raw.write(self.take_refusals() + (refusal.answer() if can_answer else b""))
        self._close_after_reading()

    def is_closing(self) -> bool:
        """Return whether the connection is closing, so that nothing can be sent."""
        return self.phase == CLOSING or self._raw.is_closing()

    def close(self) -> None:
        """Close the connection for the application or uvicorn."""
        self.send_refusals()
        self._writer.flush()
        if self.phase == BODY:
            self._close_after_reading()
        else:
            self._raw.close()

    def _close_after_reading(self) -> None:
        """Close the sending side, and drop what the client sends for `CLOSING_SECONDS`."""
        self._writer.flush()
        self.phase, self.since = CLOSING, 0.0
        if self._raw.is_closing():
            return
        self.flow.resume_reading()
        self._raw.write_eof()
