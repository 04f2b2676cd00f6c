"""Requests to the HTTP APIs of sources: paced, retried, and kept away from internal addresses."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Any, Self

import httpx
import orjson
import structlog

from services.sync.metrics import PULL_REQUESTS
from shared.errors import Permanent, Transient

MAX_ANSWER_BYTES = 256 * 2**20
"""Bytes of an answer, unpacked; arbitrary. A day of orders of a large shop has 20 MiB."""

ATTEMPTS = 5
MAX_PAUSE_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 300.0
_TOO_MANY, _FORBIDDEN = 429, frozenset({401, 403})
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON of an answer, and the address of the next page in its header `Link` (RFC 8288)."""

    document: Any
    next_url: str | None


async def checked_address(host: str, port: int, *, allow_internal: bool) -> str:
    """Return an address of a host. Raises Permanent for an internal one, and OSError for an unknown name."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in infos]
    for address in addresses:
        if not allow_internal and not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise Permanent(
                f"{host} is the internal address {address}, which sources must not reach; "
                "an operator may allow it with SYNC_ALLOW_INTERNAL_SOURCES."
            )
    return addresses[0]


class GuardedTransport(httpx.AsyncHTTPTransport):
    """Connects to public addresses alone, unless internal ones are allowed.

    The address that was checked is the one that is connected to, so that a name can't change in between.
    """

    def __init__(self, *, allow_internal: bool) -> None:
        super().__init__(retries=0, trust_env=False)
        self._allow_internal = allow_internal

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises Permanent for an internal address, and ConnectError for an unknown name."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            address = await checked_address(host, port, allow_internal=self._allow_internal)
        except OSError as error:
            message = f"The name {host} is not known: {error}"
            raise httpx.ConnectError(message) from error
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return await super().handle_async_request(request)


class SourceApi:
    """An HTTP API of a source. Use it in `async with`."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        requests_per_second: float,
        timeout_seconds: float,
        allow_internal: bool,
    ) -> None:
        self._base_url = base_url
        self._pause = 1 / requests_per_second
        self._next_at = 0.0
        self._client = httpx.AsyncClient(
            headers={"accept": "application/json", "user-agent": "endcap-sync", **headers},
            timeout=httpx.Timeout(timeout_seconds, connect=10.0),
            transport=GuardedTransport(allow_internal=allow_internal),
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        """Return the API."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Return the answer to a request; `path` may be the address of a next page of the same host.

        Raises Permanent for an answer that a repetition would repeat, and Transient if the source has no
        usable answer after several attempts. An error is never an empty list.
        """
        url = path if path.startswith(("http://", "https://")) else f"{self._base_url}{path}"
        if httpx.URL(url).host != httpx.URL(self._base_url).host:
            raise Permanent(
                f"The next page is at {httpx.URL(url).host}, which is not the host of the source."
            )
        problem = ""
        for attempt in range(ATTEMPTS):
            await self._wait_for_turn()
            try:
                answer, problem, pause = await self._attempt(url, params, attempt)
            except (httpx.HTTPError, httpx.StreamError, orjson.JSONDecodeError) as error:
                answer, pause = None, _pause(attempt)
                problem = f"{type(error).__name__}: {error}"
            if answer is not None:
                PULL_REQUESTS.labels("answered").inc()
                return answer
            PULL_REQUESTS.labels("failed").inc()
            log.warning("sync.source_request_failed", url=url, problem=problem, pause_seconds=pause)
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(pause)
        raise Transient(f"{url} gave no usable answer in {ATTEMPTS} attempts: {problem[:300]}")

    async def _attempt(
        self, url: str, params: Mapping[str, Any] | None, attempt: int
    ) -> tuple[Answer | None, str, float]:
        """Return the answer, or the problem and the pause in seconds before the next attempt."""
        async with self._client.stream("GET", url, params=params) as response:
            if response.status_code in _BUSY:
                pause = _retry_after(response.headers.get("retry-after"))
                return None, f"status {response.status_code}", _pause(attempt) if pause is None else pause
            if response.status_code in _FORBIDDEN:
                raise Permanent(f"{url} refuses the token of the source with {response.status_code}.")
            if not response.is_success:
                raise Permanent(f"{url} answers with status {response.status_code}.")
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise Permanent(f"{url} answers with more than {MAX_ANSWER_BYTES:,} bytes.")
            following = response.links.get("next", {}).get("url")
            return Answer(orjson.loads(bytes(content)), following), "", 0.0

    async def _wait_for_turn(self) -> None:
        now = monotonic()
        turn = max(now, self._next_at)
        self._next_at = turn + self._pause
        await asyncio.sleep(turn - now)


def _pause(attempt: int) -> float:
    return float(min(MAX_PAUSE_SECONDS, 0.5 * 2**attempt) * random.uniform(0.5, 1))  # noqa: S311 - jitter


def _retry_after(header: str | None) -> float | None:
    """Return the seconds of `Retry-After`, a number or a date (RFC 9110, section 10.2.3), within bounds."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time()
        except (TypeError, ValueError):
            return None
    return max(0.0, min(seconds, MAX_RETRY_AFTER_SECONDS)) if seconds == seconds else None  # noqa: PLR0124 - NaN
