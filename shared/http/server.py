"""uvicorn as every process of Endcap runs it."""

from __future__ import annotations

import resource
from functools import partial
from typing import TYPE_CHECKING, Final

import uvicorn

from shared.http.bodies import READING
from shared.http.connections import Connections
from shared.http.protocol import BoundedProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from shared.settings import HttpSettings

STOP_SECONDS: Final = 5
"""How long requests may still take when the process is told to end."""

OTHER_DESCRIPTORS: Final = 512
"""File descriptors for Kafka, Postgres, Redis, files, and the connections above the limit (256)."""


def run(app: ASGIApp, host: str, port: int, limits: HttpSettings) -> None:
    """Serve HTTP/1.1 until a signal ends the process."""
    READING.most_bytes = limits.http_max_reading_bytes
    connections = Connections(limits, _most_connections())
    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=partial(BoundedProtocol, connections),  # type: ignore[arg-type] # uvicorn only calls it
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Endcap takes no address from X-Forwarded-For: the caller is whoever holds the connection.
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _most_connections() -> int:
    """Return how many connections fit into the process's file descriptors, beside those to other servers."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(descriptors - OTHER_DESCRIPTORS, OTHER_DESCRIPTORS)
