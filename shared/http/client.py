"""A client of other servers, as a part of the process."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

CONNECT_SECONDS = 1.0
"""Time to connect to a server; arbitrary."""

_CONNECTIONS = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=30)


class TooLong(Exception):
    """An answer has more bytes than its reader accepts."""


class HttpClient:
    """Connections to other servers. The process is ready without them; calls raise while one is away."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` replaces the network in tests."""
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Create the client, without a connection."""
        self._client = httpx.AsyncClient(limits=_CONNECTIONS, trust_env=False, transport=self._transport)

    async def stop(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    def alive(self) -> str | None:
        """Return None: a client never needs a restart."""
        return None

    def ready(self) -> str | None:
        """Return None: the process works without other servers, too."""
        return None

    async def send(
        self, method: str, url: str, seconds: float, *, max_bytes: int | None = None, **options: Any
    ) -> httpx.Response:
        """Return the answer to a request; `options` are those of httpx.

        Raise httpx.HTTPError, httpx.InvalidURL or TimeoutError without an answer within `seconds`, TooLong
        for one of more than `max_bytes`, and RuntimeError before `start`.
        """
        if self._client is None:
            message = "the client is used before start()"
            raise RuntimeError(message)
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        async with (
            asyncio.timeout(seconds + CONNECT_SECONDS),
            self._client.stream(method, url, timeout=timeout, **options) as answer,
        ):
            if max_bytes is None:
                await answer.aread()
                return answer
            content = b""
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > max_bytes:
                    raise TooLong(f"the answer of {url} has more than {max_bytes:,} bytes")
            return httpx.Response(answer.status_code, content=content)
