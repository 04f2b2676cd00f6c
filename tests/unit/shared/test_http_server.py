"""The server sleeps while it has no connections."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest
import uvicorn

from shared.http import server
from shared.http.connections import Connections
from shared.http.server import QuietServer
from shared.settings import HttpSettings


async def app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody calls")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_though_it_does_not_look(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DATE_SECONDS", 3_600.0)
    quiet = QuietServer(uvicorn.Config(app), Connections(HttpSettings()))
    waiting = asyncio.create_task(quiet.main_loop())
    await asyncio.sleep(0)

    quiet.handle_exit(number, None)

    async with asyncio.timeout(60):
        await waiting


async def test_the_date_header_follows_the_clock_while_somebody_is_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "DATE_SECONDS", 0.001)
    clock = iter(range(1_000_000_000, 2_000_000_000))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    connections = Connections(HttpSettings())
    quiet = QuietServer(uvicorn.Config(app), connections)
    quiet.config.load()
    waiting = asyncio.create_task(quiet.main_loop())
    await asyncio.sleep(0)

    def date() -> bytes:
        return dict(quiet.server_state.default_headers)[b"date"]

    alone = date()
    await asyncio.sleep(0.01)
    assert date() == alone

    connection: Any = object()
    connections.add(connection, "127.0.0.1")
    assert date() != alone
    seen = set()
    async with asyncio.timeout(60):
        while len(seen) < 3:
            await asyncio.sleep(0)
            seen.add(date())
    connections.open.clear()
    quiet.handle_exit(signal.SIGTERM, None)
    await waiting
