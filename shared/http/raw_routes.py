"""Routes that answer a raw ASGI request, from its scope and its whole body to an answer."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from starlette.types import Scope

NO_CONTENT: Final = 204
"""The status of an answer without a body, which has no content-length (RFC 9110, section 8.6)."""


class RawAnswer(Protocol):
    """A status, raw headers and a body, as ASGI sends them."""

    @property
    def status(self) -> int:
        """Return the HTTP status."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers, without the content-length; names and values are not checked again."""

    @property
    def body(self) -> bytes:
        """Return the whole body."""


class RawRoutes(Protocol):
    """Such routes, of POST alone: `shared.aws_server.RestJson`, and the tracker's `Collector`."""

    @property
    def paths(self) -> Container[str]:
        """Return the paths that are answered."""

    async def answer(self, scope: Scope, body: bytes) -> RawAnswer:
        """Answer a request with this body."""
