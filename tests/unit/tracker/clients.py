"""Requests as unmodified clients of vendors sent them, and a tracker whose Kafka is a list.

`client_requests.json` has the bytes: each client was told another address and the key `WK`, and nothing else.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.tracker.app import build
from services.tracker.settings import Settings
from shared.auth import hash_key
from shared.events import Event, InteractionRecorded
from shared.http.fast_path import FastPathApplication
from shared.kafka import Publisher
from shared.postgres import Database

KEY = "WK"
ADMIN_KEY = "an admin key"
SHOP = "https://shop.example"


@dataclass(frozen=True)
class Captured:
    """One request of a client."""

    client: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def captured(client: str, path: str = "") -> list[Captured]:
    """Return the requests of a client to paths that begin with `path`, in their order."""
    rows = json.loads(Path(__file__).with_name("client_requests.json").read_text())
    requests = [
        Captured(row["client"], row["method"], row["path"], row["headers"], base64.b64decode(row["body"]))
        for row in rows
    ]
    return [request for request in requests if client in request.client and request.path.startswith(path)]


@dataclass
class Tracker:
    """The tracker's application, and what it published."""

    http: httpx.AsyncClient
    published: list[Any] = field(default_factory=list)

    async def send(self, request: Captured) -> httpx.Response:
        """Send a captured request as it was."""
        return await self.http.request(
            request.method, request.path, content=request.body, headers=dict(request.headers)
        )

    @property
    def events(self) -> list[InteractionRecorded]:
        """Return what was published."""
        return self.published


async def _row_of_key(_: Database, statement: str, *arguments: Any) -> dict[str, Any] | None:
    """Answer the lookup of a key: KEY is of pages of SHOP."""
    scopes = {hash_key(KEY): ["ingest"], hash_key(ADMIN_KEY): ["ingest", "admin"]}.get(arguments[0])
    if scopes is None or "keys_v1" not in statement:
        return None
    return {
        "tenant": "shop",
        "scopes": scopes,
        "kind": "key",
        "expires_at": None,
        "allowed_origins": [SHOP],
        "requires_origin": False,
    }


@functools.cache
def _application() -> FastPathApplication:
    """Return the application of all tests: making one takes a quarter of a second of CPU."""
    return build(Settings())


@asynccontextmanager
async def running_tracker(
    patch: pytest.MonkeyPatch, application: FastPathApplication | None = None
) -> AsyncIterator[Tracker]:
    """Run an application without Postgres and Kafka, by default that of all tests."""
    published: list[Any] = []

    async def publish(_: Publisher, __: object, events: Sequence[Event], *, within: float = 2.0) -> None:
        published.extend(events)

    patch.setattr(Database, "fetchrow", _row_of_key)
    patch.setattr(Publisher, "publish", publish)
    transport = httpx.ASGITransport(application or _application())
    async with httpx.AsyncClient(transport=transport, base_url="http://tracker.test") as http:
        yield Tracker(http, published)
