"""The judge of the fuzz test: what it calls a fault, and how small it makes the request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice
from random import Random

import pytest

from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.requests import KeyPair, Request
from tests.support.fuzz.session import Session
from tests.support.fuzz.targets import Callers, operations, routes

HEALTHY = b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"status":1}'


def response(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n%b\r\n%b" % (status, len(body), headers, body)


REFUSED = response(400, b'{"error": "Invalid", "detail": "Send a smaller number."}')


@asynccontextmanager
async def serving(respond: Callable[[bytes], bytes]) -> AsyncIterator[Session]:
    """A server of a few lines; an empty response closes the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _request(reader):
            answer = HEALTHY if head.startswith(b"GET /livez") else respond(head)
            writer.write(answer)
            if not answer:
                break
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield Session("127.0.0.1", server.sockets[0].getsockname()[1], lambda: "the log")


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            head += await reader.readexactly(int(line.partition(b":")[2]))
    return head


def request(**members: object) -> Request:
    return Request(
        target="thing POST /things",
        service="thing",
        method="POST",
        path="/things",
        in_path={},
        query=(("limit", "1"), ("page", "2")),
        headers=((b"x-api-key", b"k"), (b"accept", b"*/*")),
        document={"name": "a", "count": 1, **members},
        encoding="json",
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (REFUSED, None),
        (response(201, b""), None),
        (response(500, b"{}"), "status 500"),
        (response(503, b'{"error": "Unavailable", "detail": "away"}'), "status 503"),
        (response(400, b"Bad Request"), "no JSON"),
        (response(400, b'{"detail": [1]}'), "not the documented shape of an error"),
        (response(400, b'{"error": "Invalid", "detail": " "}'), "no sentence"),
        (response(400, b'{"error": "Invalid", "detail": "asyncpg.DataError"}'), "exposes internals"),
        (REFUSED.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1), "closes the connection"),
        (b"", "no usable answer"),
        (REFUSED + b"more", "no usable answer"),
    ],
)
async def test_a_wrong_answer_is_a_fault(answer: bytes, problem: str | None) -> None:
    async with serving(lambda _: answer) as session:
        await session.run([request()])

    assert [fault.problem for fault in session.results.faults] == ([problem] if problem else [])


async def test_the_request_of_a_fault_is_reduced_to_what_matters() -> None:
    def respond(received: bytes) -> bytes:
        return response(500, b"{}") if b"\\u0000" in received else REFUSED

    async with serving(respond) as session:
        await session.run([request(), request(deep={"list": ["aaaaaaaaaaaaaaaa\0", 2]}), request(other="\0")])

    [fault] = session.results.faults
    assert session.results.wrong[fault.kind] == 2
    assert len(str(fault.request.document)) < 40
    assert (fault.request.query, fault.request.headers) == ((), ((b"x-api-key", b"k"),))
    assert "\\\\u0000" in fault.request.described()


def test_a_seed_makes_the_same_requests() -> None:
    callers = Callers(b"a", b"b", b"c", KeyPair("d", "e"))
    targets = [target for target in (*routes(), *operations()) if not target.can_be_signed]

    def made(seed: int) -> list[bytes]:
        random = Random(seed)
        return [
            mutated(target.valid({}, callers, random), random).wire("host")
            for target in islice(targets, 20)
            for _ in range(20)
        ]

    assert made(1) == made(1)
    assert made(1) != made(2)
