"""Devices by headers, and the headers of the request that is answered now."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.http.devices import REQUEST_HEADERS, device_of
from shared.http.direct_cycle import DirectCycle

PHONE = b"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36"
TABLET = b"Mozilla/5.0 (Linux; Android 14; SM-X910) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"
DESKTOP = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"


@pytest.mark.parametrize(
    ("headers", "device"),
    [
        ({b"user-agent": PHONE}, "mobile"),
        ({b"user-agent": b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"}, "mobile"),
        ({b"user-agent": TABLET}, "tablet"),
        ({b"user-agent": b"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Mobile/15E148"}, "tablet"),
        ({b"user-agent": DESKTOP}, "desktop"),
        ({b"user-agent": b"python-httpx/0.28"}, None),
        ({b"user-agent": b"python-httpx/0.28", b"x-device": b"mobile"}, "mobile"),
        ({b"user-agent": DESKTOP, b"x-device": b"fridge"}, "desktop"),
        ({}, None),
    ],
)
def test_the_device_of_a_request(headers: dict[bytes, bytes], device: str | None) -> None:
    assert device_of(headers) == device


async def test_each_direct_answer_knows_the_headers_of_its_request() -> None:
    loop, seen = asyncio.get_running_loop(), []
    waits: list[asyncio.Future[None]] = [loop.create_future() for _ in range(2)]
    line = cast("Any", SimpleNamespace(call_soon=loop.call_soon, answered=lambda: None, tasks=set()))

    async def answer(number: int) -> bytes:
        before = device_of(REQUEST_HEADERS.get())
        await waits[number]
        seen.append((number, before, device_of(REQUEST_HEADERS.get())))
        return b""

    for number, device in enumerate((b"mobile", b"tablet")):
        REQUEST_HEADERS.set({b"x-device": device})
        loop.call_soon(DirectCycle(line, b"/", [], answer(number)).step)
    REQUEST_HEADERS.set({})
    await asyncio.sleep(0)
    for wait in reversed(waits):
        wait.set_result(None)
        await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert sorted(seen) == [(0, "mobile", "mobile"), (1, "tablet", "tablet")]
