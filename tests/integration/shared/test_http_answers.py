"""Answers of uvicorn with BoundedProtocol: their writes, and requests that follow each other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.http import BoundedProtocol
from tests.integration.shared.http_server import GET, served
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("quick_connection_limits")


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is written to the transports of connections, write by write."""
    written: list[bytes] = []
    made = BoundedProtocol.connection_made

    def counting(self: BoundedProtocol, transport: Any) -> None:
        write = transport.write

        def counted(data: bytes) -> None:
            written.append(bytes(data))
            write(data)

        transport.write = counted
        made(self, transport)

    monkeypatch.setattr(BoundedProtocol, "connection_made", counting)
    return written


@pytest.mark.parametrize(
    ("request_line", "last_bytes", "count"),
    [
        ("GET /small", b'"small"', 1),
        ("GET /nowhere", b"}", 1),
        ("GET /readyz", b"}", 1),
        ("HEAD /small", b"\r\n\r\n", 1),
        ("GET /nothing", b"\r\n\r\n", 1),
        ("GET /medium", b'x"', 2),  # too large to be worth a copy
        ("GET /pieces", b"0\r\n\r\n", 4),
    ],
)
async def test_the_head_of_an_answer_leaves_with_its_body(
    writes: list[bytes], request_line: str, last_bytes: bytes, count: int
) -> None:
    async with served() as server:
        request = f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        client = await server.connect(request)

        for answers in (1, 2):
            if answers == 2:
                await client.send(request)
            await eventually(lambda n=answers: len(writes) == n * count)  # type: ignore[misc]
            assert writes[-count].startswith(b"HTTP/1.1 ")
            assert writes[-1].endswith(last_bytes)

    assert b"".join(writes).count(b"HTTP/1.1 2") + b"".join(writes).count(b"HTTP/1.1 4") == 2


async def test_a_head_whose_body_breaks_off_is_sent() -> None:
    async with served() as server:
        client = await server.connect(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            answer = await client.rest()

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"content-length: 5" in answer


async def test_pipelined_answers_are_one_write_each(writes: list[bytes]) -> None:
    async with served() as server:
        client = await server.connect(GET * 3)
        answers = [(await client.answer())[2] for _ in range(3)]

    assert answers == ["small"] * 3
    assert len(writes) == 3


async def test_requests_follow_each_other_on_one_connection() -> None:
    async with served() as server:
        client = await server.connect(GET, b"\r\n", GET[:10], GET[10:], GET + GET)
        answers = [(await client.answer())[2] for _ in range(4)]

    assert answers == ["small"] * 4


async def test_what_is_no_http_gets_a_400() -> None:
    async with served() as server:
        client = await server.connect(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
        status, _, document = await client.answer()

        assert await client.is_closed()
    assert (status, document["error"]) == (400, "InvalidHttp")


async def test_an_offer_to_upgrade_is_ignored() -> None:
    async with served() as server:
        head = b"GET /small HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        answer = await (await server.connect(head)).answer()

    assert answer[0] == 200
