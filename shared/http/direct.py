"""Direct answers: requests that need no ASGI application, from their bytes to bytes.

Those are simple GETs, and POSTs with a small body (`shared.http.direct_post`).

For a small answer uvicorn's scope, cycle and messages take longer than everything else (docs/speed.md). An
application may have a `direct` path, which takes a request or leaves it to the application. Several requests
of a connection are answered at the same time and in their order (pipelining, RFC 9112, section 9.3.2).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from shared.http.connections import Phase
from shared.http.direct_cycle import DirectCycle
from shared.http.direct_post import DirectPost, is_small_post
from shared.http.repeated_headers import RepeatedHeaders

if TYPE_CHECKING:
    from shared.http.connections import Connections
    from shared.http.protocol import BoundedProtocol
    from shared.http.raw_routes import RawRoutes

MAX_PIPELINED: Final = 16
"""Requests that a client may send before the answer to the first; arbitrary, known clients send one."""

DirectPath = Callable[[bytes, Mapping[bytes, bytes], bytes], Coroutine[Any, Any, bytes | None] | None]
"""From the URL as it was sent, the headers, and the beginning of a 200 (status line and date) to a coroutine
that returns the whole answer, or None for an answer of the application. Without a coroutine the application
answers at once. An exception of the coroutine counts as None: the application meets the same one, and
answers it."""

_NOT_DIRECT: Final = frozenset(
    (b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"origin", b"traceparent")
)
"""Headers of requests with a body, of pages in browsers, and of traces, which the application handles."""


def is_simple(method: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request has no body and nothing else that only the application handles."""
    return method == b"GET" and _NOT_DIRECT.isdisjoint(headers)


class DirectLine:
    """The direct requests of one connection that have no answer yet, in their order."""

    __slots__ = (
        "_direct",
        "_is_passing",
        "_posts",
        "_protocol",
        "_repeated",
        "_sends",
        "_shared",
        "_write",
        "call_soon",
        "create_task",
        "cycles",
        "tasks",
    )

    def __init__(self, protocol: BoundedProtocol, transport: asyncio.Transport, shared: Connections) -> None:
        """Answer GETs with the path `direct` of the application, if it has one.

        Of its `direct_posts` the first with the path of a POST answers. `shared` limits the requests of the
        process.
        """
        self._protocol = protocol
        self._shared = shared
        self._direct: DirectPath | None = getattr(protocol.app, "direct", None)
        self._posts: Sequence[RawRoutes] = getattr(protocol.app, "direct_posts", ())
        self._repeated = RepeatedHeaders()
        self._write = transport.write
        self._sends = False  # `send` is scheduled
        self._is_passing = False  # the application answers a request that came before `cycles`
        self.cycles: deque[DirectCycle | DirectPost] = deque()
        self.call_soon = protocol.loop.call_soon
        self.create_task = protocol.loop.create_task
        self.tasks: set[Any] = protocol.tasks
        """Those of the server, which it awaits when it stops."""

    def accept(self) -> bool:
        """Start to answer the request whose headers are complete; return False if that is not possible."""
        protocol, direct = self._protocol, self._direct
        if direct is None and not self._posts:
            return False
        parser, headers = protocol.parser, dict(protocol.headers)
        if not (parser.should_keep_alive() and parser.get_http_version() == "1.1" and self._is_free()):
            return False
        method = parser.get_method()
        if method == b"POST":
            return is_small_post(headers) and self._start_post()
        return (
            direct is not None
            and is_simple(method, headers)
            and self._start(direct, protocol.url, protocol.headers, headers)
        )

    def learn(self, data: bytes) -> None:
        """Remember the headers of the request that was parsed from `data`, if its answer is direct."""
        if self.cycles:
            self._repeated.learn(data, self.cycles[-1].headers)

    def take_repeated(self, data: bytes) -> bytes:
        """Start to answer the requests at the beginning of `data` whose headers are known; return the rest.

        The parser must be between two requests. It reads the rest as if the others had never been.
        """
        protocol, shared, direct, repeated = self._protocol, self._shared, self._direct, self._repeated
        begin = 0
        while (
            (request := repeated.url(data, begin)) is not None
            and direct is not None
            and request[1] - begin <= shared.limits.http_max_header_bytes
            and len(self.cycles) < MAX_PIPELINED
            and self._is_free()
            and not shared.overload(len(self.tasks) - shared.idle_tasks)
            and self._start(direct, request[0], repeated.headers, repeated.by_name)
        ):
            protocol.phase, protocol.since = Phase.ANSWER, 0.0
            begin = request[1]
        return data[begin:] if begin else data

    def _start(
        self,
        direct: DirectPath,
        url: bytes,
        headers: list[tuple[bytes, bytes]],
        by_name: Mapping[bytes, bytes],
    ) -> bool:
        protocol = self._protocol
        answer = direct(url, by_name, self._shared.ok_head(protocol.server_state.default_headers))
        if answer is None:
            return False
        cycle = DirectCycle(self, url, headers, answer)
        self.cycles.append(cycle)
        self.tasks.add(cycle)
        protocol.cycle = cycle  # type: ignore[assignment] # it has what uvicorn reads of one
        # The parser must have finished this request before its answer is sent.
        self.call_soon(cycle.step)
        self._pause_if_full()
        return True

    def _start_post(self) -> bool:
        protocol = self._protocol
        scope = posted_scope(protocol)
        routes = next((each for each in self._posts if scope["path"] in each.paths), None)
        if routes is None:
            return False
        post = DirectPost(self, routes, scope)
        self.cycles.append(post)
        self.tasks.add(post)
        # The protocol refuses a body that is too slow as it does for the application.
        protocol.cycle = protocol.answered = post  # type: ignore[assignment] # it has what uvicorn reads of one
        self._pause_if_full()
        return True

    def _pause_if_full(self) -> None:
        if len(self.cycles) >= MAX_PIPELINED:
            self._protocol.flow.pause_reading()

    def head(self, status: int) -> bytes:
        """Return the beginning of an answer: the status line, and the headers of the server."""
        return self._shared.head(STATUS_LINE[status], self._protocol.server_state.default_headers)

    def _is_free(self) -> bool:
        """Return whether only direct requests are waiting."""
        protocol, before = self._protocol, self._protocol.cycle
        if self._is_passing or protocol.is_surplus or protocol.pipeline or protocol.flow.write_paused:
            return False
        return bool(self.cycles) or before is None or before.response_complete

    def answered(self) -> None:
        """Send a single answer at once, and several of one turn of the loop together."""
        if len(self.cycles) == 1:
            self.send()
        elif not self._sends:
            self._sends = True
            self.call_soon(self.send)

    def send(self) -> None:
        """Send the answers that are due; a request that has none is passed to the application."""
        self._sends = False
        cycles, protocol = self.cycles, self._protocol
        if protocol.is_closing():
            cycles.clear()
            return
        if self._is_passing:
            return
        answers = []
        closes = False
        while cycles and cycles[0].answer is not None and not closes:
            cycle = cycles.popleft()
            cycle.response_complete = True
            closes = not cycle.keep_alive
            answers.append(_closing(cycle.answer or b"") if closes else cycle.answer or b"")
        if answers:
            self._write(answers[0] if len(answers) == 1 else b"".join(answers))
            protocol.server_state.total_requests += len(answers)
            protocol.flow.resume_reading()
            if closes:
                protocol.close()
            elif not cycles:
                protocol.next_request()
        if cycles and (cycle := cycles[0]).is_done and isinstance(cycle, DirectCycle) and not closes:
            cycles.popleft()
            self._pass_on(cycle)

    def passed_on_is_sent(self) -> bool:
        """Continue after an answer of the application; return False if nothing direct came behind it."""
        self._is_passing = False
        if not self.cycles:
            return False
        # It sends what is due, and then starts the next request itself.
        self.send()
        return True

    def is_awaited(self, cycle: RequestResponseCycle) -> bool:
        """Return whether `cycle`, which has no answer yet, is the only request that awaits one."""
        is_last = cycle is self._protocol.cycle and not cycle.response_started
        return is_last and (not self.cycles or self.cycles[0] is cycle)  # type: ignore[comparison-overlap]

    def _pass_on(self, direct: DirectCycle) -> None:
        """Let the application answer a request that is not answered directly after all."""
        self._is_passing = True
        protocol = self._protocol
        url = httptools.parse_url(direct.url)
        path = url.path.decode("ascii")
        request_line = {
            "method": "GET",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
        }
        cycle = RequestResponseCycle(
            scope=new_scope(protocol, [*direct.headers]) | request_line,  # type: ignore[arg-type] # complete
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=protocol.access_log,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=direct.keep_alive,
            on_response=protocol.on_response_complete,
        )
        cycle.more_body = False
        cycle.message_event.set()
        if cast("object", protocol.cycle) is direct:
            protocol.cycle = cycle
        protocol._start_asgi_task(cycle, protocol.app)  # noqa: SLF001 - as uvicorn does


def _closing(answer: bytes) -> bytes:
    """Return an answer that says that the connection ends with it."""
    return answer.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)


def posted_scope(protocol: BoundedProtocol) -> dict[str, Any]:
    """Return the scope of a POST as uvicorn makes it. Raises as httptools does for an URL that is none."""
    url = httptools.parse_url(protocol.url)
    path = url.path.decode("ascii")
    root = protocol.root_path
    scope = new_scope(protocol, protocol.headers)
    scope["method"] = "POST"
    scope["path"] = root + (unquote(path) if "%" in path else path)
    scope["raw_path"] = root.encode("ascii") + url.path if root else url.path
    scope["query_string"] = url.query or b""
    return scope


def new_scope(protocol: BoundedProtocol, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return the scope of a request as uvicorn makes it, without the request line."""
    return {
        "type": "http",
        "asgi": {"version": protocol.asgi_version, "spec_version": "2.3"},
        "http_version": "1.1",
        "server": protocol.server,
        "client": protocol.client,
        "scheme": protocol.scheme,
        "root_path": protocol.root_path,
        "headers": headers,
        "state": protocol.app_state.copy(),
    }
