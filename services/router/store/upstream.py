"""Call the recommender over HTTP/1.1: few persistent connections, one attempt, a time limit."""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from opentelemetry.trace import SpanKind

from services.router.metrics import ANSWERS
from services.router.store.shared_connection import SharedConnection
from services.router.store.upstream_connection import Reply, UpstreamConnection
from shared.errors import ApiError, unavailable
from shared.http.devices import HEADER
from shared.observability import tracing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import Counter

    from shared.settings import AuthSettings

MAX_PIPELINED = 8
"""Simple requests that share a connection at a time. Arbitrary: half of what the recommender takes, so that a
slow one delays few others."""
IDLE_SECONDS = 30.0
"""An unused connection is closed after this time, before the recommender would close it (75 s)."""

MAX_TENANTS = 1_000
"""Tenants whose part of a request is remembered. Arbitrary."""

_TARGET = re.compile(rb"/[^\x00-\x20\x7f]*")

log = structlog.get_logger()


class Upstream:
    """Calls the recommender with the service key, on behalf of a tenant. A part."""

    def __init__(self, url: str, auth: AuthSettings, timeout_seconds: float, name: str = "upstream") -> None:
        """Take the URL of the recommender, without a path; `name` is that of the part."""
        self.name = name
        address = urlsplit(url)
        key = auth.endcap_service_key
        self._key = key.get_secret_value() if key else ""
        self._is_tls = address.scheme == "https"
        self._host = address.hostname or ""
        self._port = address.port or (443 if self._is_tls else 80)
        self._path = address.path.rstrip("/").encode()
        self._host_line = f"host: {address.netloc}\r\n".encode()
        self._line_ends: dict[tuple[str, str | None], bytes] = {}
        self._timeout_seconds = timeout_seconds
        self._shared: list[UpstreamConnection] = []
        self._exclusive: list[UpstreamConnection] = []
        self._tls: ssl.SSLContext | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to check timeouts; connections are opened when they are needed."""
        self._tls = ssl.create_default_context() if self._is_tls else None
        self._sweeper = asyncio.create_task(self._sweep(), name=self.name)

    async def stop(self) -> None:
        """Close the connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper}, timeout=1)
        for connection in [*self._shared, *self._exclusive]:
            connection.close()

    def alive(self) -> str | None:
        """Return why a restart would help; None while timeouts are checked."""
        if self._sweeper is not None and self._sweeper.done():
            return "timeouts of the recommender are no longer checked because of a defect; see the log"
        return None

    def ready(self) -> str | None:
        """Return why no request can succeed; None if the service key is set."""
        return None if self._key else "ENDCAP_SERVICE_KEY is not set: the recommender would reject requests"

    async def call(
        self,
        tenant: str,
        method: str,
        target: bytes,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request and return the answer; raise ApiError (503) if there is none in time.

        `target` is an encoded path with its query. The request has a connection for itself.
        """
        credentials = {"x-api-key": self._key, "x-endcap-tenant": tenant}
        return await self.call_as({**credentials, **(headers or {})}, method, target, body)

    async def call_as(
        self, request_headers: Mapping[str, str], method: str, target: bytes, body: bytes = b""
    ) -> Reply:
        """Send a request with the credentials of its headers; else as `call`."""
        headers = dict(request_headers)
        with tracing.work(f"recommender {method}", kind=SpanKind.CLIENT):
            if (traceparent := tracing.current()) is not None:
                headers["traceparent"] = traceparent
            if body or method == "POST":
                headers["content-length"] = str(len(body))
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            message = b"%b %b%b HTTP/1.1\r\n%b%b\r\n%b" % (
                *(method.encode(), self._path, _checked(target)),
                *(self._host_line, lines.encode("latin-1"), body),
            )
            reply: Reply = await self._reply(self._pick(self._exclusive, 1, UpstreamConnection), message)
            return reply

    async def get(self, tenant: str, target: bytes, head: bytes, device: str | None = None) -> bytes:
        """Send a simple GET request of a device as `call` does, on a connection that others share.

        Return the HTTP message of the answer; `head` is the beginning of a 200: status line, server's lines.
        """
        message = b"GET %b%b%b" % (self._path, _checked(target), self._rest_of_get(tenant, device))
        reply: Reply | bytes = await self._reply(
            self._pick(self._shared, MAX_PIPELINED, SharedConnection), message
        )
        return reply if isinstance(reply, bytes) else reply.message(head)

    def _rest_of_get(self, tenant: str, device: str | None) -> bytes:
        """Return the bytes of a simple request behind its target; those of some tenants are remembered."""
        rest = self._line_ends.get((tenant, device))
        if rest is None:
            credentials = f"x-api-key: {self._key}\r\nx-endcap-tenant: {tenant}\r\n".encode()
            if device is not None:
                credentials += b"%b: %b\r\n" % (HEADER, device.encode())
            if len(self._line_ends) >= MAX_TENANTS:
                self._line_ends.clear()
            rest = self._line_ends[tenant, device] = b" HTTP/1.1\r\n%b%b\r\n" % (self._host_line, credentials)
        return rest

    async def _reply(self, connection: UpstreamConnection, message: bytes) -> Any:
        try:
            reply = await connection.send(message)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            _answers("none").inc()
            log.warning("upstream.no_answer", error=repr(error))
            raise unavailable("The recommender") from error
        (_OK if type(reply) is bytes else _answers(str(reply.status))).inc()
        return reply

    def _pick(
        self, connections: list[UpstreamConnection], most: int, kind: type[UpstreamConnection]
    ) -> UpstreamConnection:
        """Return the first connection with room, so that few are in use; open one if there is none."""
        for connection in connections:
            if connection.is_open and len(connection.waiting) < most:
                return connection
        connection = kind(asyncio.get_running_loop())
        connections.append(connection)
        connection.open(self._host, self._port, self._tls, self._timeout_seconds)
        return connection

    async def _sweep(self) -> None:
        """Fail requests after the time limit, close idle connections, and forget those that are closed."""
        while True:
            await asyncio.sleep(self._timeout_seconds / 8)
            now = asyncio.get_running_loop().time()
            for connections in (self._shared, self._exclusive):
                for connection in connections:
                    connection.check(now, self._timeout_seconds, IDLE_SECONDS)
                connections[:] = [each for each in connections if each.is_open or each.waiting]


def _checked(target: bytes) -> bytes:
    """Return an encoded path with its query; raise ApiError (400) for bytes that it must not have."""
    if _TARGET.fullmatch(target) is None:
        raise ApiError(400, "InvalidRequest", "The path or the query has bytes that a URL must not have.")
    return target


@lru_cache(maxsize=128)
def _answers(status: str) -> Counter:
    return ANSWERS.labels(status)


_OK = ANSWERS.labels("200")
