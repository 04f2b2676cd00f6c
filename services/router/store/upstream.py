"""Call the recommender over HTTP: persistent connections, one attempt, a time limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import structlog
from opentelemetry.trace import SpanKind
from yarl import URL

from services.router.metrics import ANSWERS
from shared.errors import unavailable
from shared.http import UNKNOWN_PARAMETERS
from shared.observability import tracing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.settings import AuthSettings

log = structlog.get_logger()

FORWARDED_HEADERS = (
    "content-type",
    "x-recs-source",
    "x-recs-generation",
    "x-experiment",
    "x-variant",
    "x-amzn-errortype",
    "retry-after",
    UNKNOWN_PARAMETERS,
)


class Reply(NamedTuple):
    """An answer of the recommender."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Upstream:
    """Calls the recommender with the service key, on behalf of a tenant. A part."""

    name = "upstream"

    def __init__(self, url: str, auth: AuthSettings, timeout_seconds: float) -> None:
        """Take the URL of the recommender, without a path."""
        self._url = url.rstrip("/")
        key = auth.endcap_service_key
        self._key = key.get_secret_value() if key else ""
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Create the connection pool; connections are opened when they are needed."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def alive(self) -> str | None:
        """Return None: broken connections are replaced."""
        return None

    def ready(self) -> str | None:
        """Return why no request can succeed; None if the service key is set."""
        return None if self._key else "ENDCAP_SERVICE_KEY is not set: the recommender would reject requests"

    async def call(
        self,
        tenant: str,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request and return the answer; raise ApiError (503) if there is none in time.

        `target` is an encoded path with its query.
        """
        request_headers = {"x-api-key": self._key, "x-endcap-tenant": tenant, **(headers or {})}
        return await self.call_as(request_headers, method, target, body)

    async def call_as(
        self, request_headers: dict[str, str], method: str, target: str, body: bytes = b""
    ) -> Reply:
        """Send a request with the credentials of its headers; else as `call`."""
        with tracing.work(f"recommender {method}", kind=SpanKind.CLIENT):
            if (traceparent := tracing.current()) is not None:
                request_headers["traceparent"] = traceparent
            reply = await self._reply(method, target, body, request_headers)
        ANSWERS.labels(str(reply.status)).inc()
        return reply

    async def _reply(
        self, method: str, target: str, body: bytes, request_headers: Mapping[str, str]
    ) -> Reply:
        assert self._session is not None
        url = URL(self._url + target, encoded=True)
        try:
            async with self._session.request(
                method, url, data=body or None, headers=request_headers, allow_redirects=False
            ) as answer:
                return Reply(answer.status, _forwarded(answer.headers), await answer.read())
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            ANSWERS.labels("none").inc()
            log.warning("upstream.no_answer", target=target, error=repr(error))
            raise unavailable("The recommender") from error


def _forwarded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), headers[name].encode("latin-1")) for name in FORWARDED_HEADERS if name in headers]
