"""The recommender over HTTP: kept connections, one attempt, a time limit."""

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

HANDED_ON = (
    "content-type",
    "x-recs-source",
    "x-recs-generation",
    "x-amzn-errortype",
    "retry-after",
    UNKNOWN_PARAMETERS,
)


class Reply(NamedTuple):
    """What the recommender answered."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def refused(self) -> bool:
        """Whether the request itself was at fault, rather than the service."""
        return 400 <= self.status < 500


class Upstream:
    """Asks the recommender with the service key, on behalf of a tenant. A part."""

    name = "upstream"

    def __init__(self, address: str, auth: AuthSettings, seconds: float) -> None:
        """`address` is the recommender's, without a path."""
        self._address = address.rstrip("/")
        key = auth.endcap_service_key
        self._key = key.get_secret_value() if key else ""
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the pool of connections; none is opened yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def alive(self) -> str | None:
        """Connections are made anew when they break."""
        return None

    def ready(self) -> str | None:
        """Each request finds out for itself."""
        return None if self._key else "ENDCAP_SERVICE_KEY is not set: the recommender would refuse us"

    async def ask(
        self,
        tenant: str,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """`target` is an encoded path with its query. 503 when there is no answer in time."""
        sent = {"x-api-key": self._key, "x-endcap-tenant": tenant, **(headers or {})}
        with tracing.work(f"recommender {method}", kind=SpanKind.CLIENT):
            if (traceparent := tracing.current()) is not None:
                sent["traceparent"] = traceparent
            reply = await self._reply(method, target, body, sent)
        ANSWERS.labels(str(reply.status)).inc()
        return reply

    async def _reply(self, method: str, target: str, body: bytes, sent: Mapping[str, str]) -> Reply:
        assert self._session is not None
        url = URL(self._address + target, encoded=True)
        try:
            async with self._session.request(
                method, url, data=body or None, headers=sent, allow_redirects=False
            ) as answer:
                return Reply(answer.status, _kept(answer.headers), await answer.read())
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            ANSWERS.labels("none").inc()
            log.warning("upstream.no_answer", target=target, error=repr(error))
            raise unavailable("The recommender") from error


def _kept(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), headers[name].encode("latin-1")) for name in HANDED_ON if name in headers]
