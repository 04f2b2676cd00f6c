"""A server that sleeps until it has something to do."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
import uvicorn

from shared.http import server
from shared.http.server import QuietServer


async def app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody calls")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_though_it_does_not_look(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DATE_SECONDS", 3_600.0)
    quiet = QuietServer(uvicorn.Config(app))
    waiting = asyncio.create_task(quiet.main_loop())
    await asyncio.sleep(0)

    quiet.handle_exit(number, None)

    async with asyncio.timeout(60):
        await waiting


async def test_the_date_header_follows_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DATE_SECONDS", 0.001)
    clock = iter(range(1_000_000_000, 2_000_000_000))
    monkeypatch.setattr("uvicorn.server.time.time", lambda: next(clock))
    quiet = QuietServer(uvicorn.Config(app))
    quiet.config.load()
    waiting = asyncio.create_task(quiet.main_loop())
    seen = set()

    async with asyncio.timeout(60):
        while len(seen) < 3:
            await asyncio.sleep(0)
            seen |= {value for name, value in quiet.server_state.default_headers if name == b"date"}
    quiet.handle_exit(signal.SIGTERM, None)
    await waiting
