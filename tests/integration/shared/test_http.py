"""Limits of one connection: uvicorn with BoundedProtocol, and clients that write raw bytes."""

# No postponed annotations here: FastAPI could not resolve those that are made inside a function.
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Annotated, Any

import orjson
import pytest
import uvicorn
from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import StreamingResponse

from shared.http import BoundedProtocol, Connections, connections
from shared.http.connections import REFUSED
from shared.http.request_bodies import read_body
from shared.http.runtime import application
from shared.settings import HttpSettings
from tests.support.waiting import PATIENCE, eventually

Connect = Callable[[bytes], Any]
GET = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"


def routes(released: asyncio.Event) -> APIRouter:
    router = APIRouter()

    @router.get("/small")
    async def small() -> str:
        return "small"

    @router.get("/large")
    async def large() -> str:
        return "x" * 8 * 2**20

    @router.get("/slow")
    async def slow() -> str:
        await released.wait()
        return "slow"

    @router.post("/json")
    async def parsed(document: Annotated[dict[str, Any], Body()]) -> int:
        return len(document)

    @router.post("/sized")
    async def sized(request: Request) -> int:
        return len(await read_body(request, 2**20))

    @router.post("/unread")
    async def unread() -> str:
        return "not read"

    return router


def odd_routes() -> APIRouter:
    """Answers whose head and body are not the usual pair of messages."""
    router = APIRouter()

    @router.get("/medium")
    async def medium() -> str:
        return "x" * 100 * 1024

    @router.get("/pieces")
    async def pieces() -> StreamingResponse:
        async def content() -> AsyncIterator[bytes]:
            for piece in (b"HTTP/1.1 ", b"is no head", b" here"):
                yield piece

        return StreamingResponse(content())

    @router.get("/broken")
    async def broken() -> StreamingResponse:
        async def content() -> AsyncIterator[bytes]:
            raise RuntimeError("it breaks off")
            yield b""

        return StreamingResponse(content(), headers={"content-length": "5"})

    @router.get("/nothing", status_code=204)
    async def nothing() -> None:
        pass

    @router.head("/small")
    async def head_of_small() -> Response:
        return Response(headers={"content-length": "7"})

    return router


class Client:
    """One connection, which writes bytes and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """The next answer: status, headers, and its JSON."""
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self._reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, orjson.loads(body)

    async def rest(self) -> bytes:
        """All that the server sends until it closes the connection."""
        return await self._reader.read()

    async def is_closed(self) -> bool:
        """Wait for the end of what the server sends."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read() == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        self._writer.transport.abort()


class Served:
    """A running server and its clients."""

    def __init__(self, port: int, shared: Connections) -> None:
        self.shared = shared
        self._port = port
        self._clients: list[Client] = []

    async def connect(self, *pieces: bytes) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port))
        self._clients.append(client)
        await client.send(*pieces)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def served(**limits: float) -> AsyncIterator[Served]:
    settings = HttpSettings(**{f"http_{name}": value for name, value in limits.items()})
    shared, released = Connections(settings), asyncio.Event()
    config = uvicorn.Config(
        application("test", parts=[], routers=[routes(released), odd_routes()]),
        port=0,
        http=partial(BoundedProtocol, shared),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    running = Served(server.servers[0].sockets[0].getsockname()[1], shared)
    try:
        yield running
    finally:
        running.close()
        released.set()
        await server.shutdown()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(connections, "DRAIN_SECONDS", 0.2)


def refused(reason: str) -> float:
    return REFUSED.labels(reason)._value.get()


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


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / HTTP/1.1\r\nx-a: " + b"a" * 5_000],
        [b"GET / HTTP/1.1\r\nx-a: " + b"a" * 5_000 + b"\r\n\r\n"],
        [b"GET / HTTP/1.1\r\nx-a: ", *[b"a" * 500] * 10],
        [b"GET /" + b"a" * 5_000],
        [b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 2_000],
        [b"\r\n" * 3_000],
        [GET, b"GET / HTTP/1.1\r\nx-a: ", *[b"a" * 500] * 10],
    ],
    ids=["value", "whole", "in pieces", "url", "tiny", "empty lines", "second request"],
)
async def test_headers_above_the_limit_are_refused(pieces: list[bytes]) -> None:
    before = refused("header_bytes")
    async with served(max_header_bytes=2_048) as server:
        client = await server.connect(pieces[0])
        if pieces[0] == GET:
            assert (await client.answer())[0] == 200
        await client.send(*pieces[1:])
        status, headers, document = await client.answer()
        closed = await client.is_closed()

    assert (status, document["error"], closed) == (431, "HeadersTooLarge", True)
    assert headers["connection"] == "close"
    assert refused("header_bytes") == before + 1


async def test_headers_below_the_limit_are_taken_however_large_the_body() -> None:
    body = b'{"a": "' + b"b" * 60_000 + b'"}'
    head = b"POST /json HTTP/1.1\r\ncontent-type: application/json\r\nx-a: %s\r\ncontent-length: %d\r\n\r\n"
    async with served(max_header_bytes=2_048) as server:
        client = await server.connect(head % (b"a" * 1_900, len(body)) + body)
        first = await client.answer()
        await client.send(head % (b"a" * 1_900, len(body)) + body + GET)
        second, third = await client.answer(), await client.answer()

    assert [first[0], second[0], third[0]] == [200, 200, 200]


async def test_more_headers_than_allowed_are_refused() -> None:
    async with served(max_headers=10) as server:
        client = await server.connect(b"GET /small HTTP/1.1\r\n" + b"a: b\r\n" * 10 + b"\r\n")
        allowed = await client.answer()
        await client.send(b"GET /small HTTP/1.1\r\n" + b"a: b\r\n" * 11 + b"\r\n")
        status, _, document = await client.answer()

        assert await client.is_closed()
    assert (allowed[0], status, document["error"]) == (200, 431, "TooManyHeaders")


@pytest.mark.parametrize("first", [b"", GET], ids=["new", "kept"])
async def test_headers_that_do_not_end_in_time_are_refused(first: bytes) -> None:
    async with served(header_seconds=0.2) as server:
        client = await server.connect(first)
        if first:
            assert (await client.answer())[0] == 200
        await client.send(b"GET /small HTTP/1.1\r\nx-a: ")
        status, _, document = await client.answer()

        assert await client.is_closed()
    assert (status, document["error"]) == (408, "RequestTimeout")


@pytest.mark.parametrize("first", [b"", GET], ids=["new", "kept"])
async def test_a_connection_without_a_request_is_closed(first: bytes) -> None:
    async with served(header_seconds=0.2, idle_seconds=0.2) as server:
        client = await server.connect(first)
        if first:
            assert (await client.answer())[0] == 200

        assert await client.is_closed()


@pytest.mark.parametrize(
    "head", [b"content-length: 1000", b"transfer-encoding: chunked"], ids=["sized", "chunked"]
)
@pytest.mark.parametrize("path", [b"/json", b"/sized"])
async def test_a_body_that_does_not_come_in_time_is_refused(path: bytes, head: bytes) -> None:
    async with served(body_seconds=0.2) as server:
        client = await server.connect(b"POST %s HTTP/1.1\r\n%s\r\n\r\n" % (path, head), b"1")
        status, _, document = await client.answer()

        assert await client.is_closed()
    assert (status, document["error"]) == (408, "RequestTimeout")


@pytest.mark.parametrize(("rate", "behind", "expected"), [(100, 1.0, 200), (200_000, 0.3, 408)])
async def test_a_body_may_take_longer_the_longer_it_is(rate: int, behind: float, expected: int) -> None:
    async with served(body_seconds=behind, body_bytes_per_second=rate) as server:
        client = await server.connect(b"POST /sized HTTP/1.1\r\ncontent-length: 20000\r\n\r\n")
        with suppress(ConnectionError):
            for _ in range(20):
                await client.send(b"1" * 1_000)
                await asyncio.sleep(0.06)
        status, _, _ = await client.answer()

    assert status == expected


@pytest.mark.parametrize(
    ("path", "head", "body"),
    [
        (b"/json", b"content-length: 70000", b""),
        (b"/json", b"transfer-encoding: chunked", b"11170\r\n" + b"1" * 70_000 + b"\r\n"),
        (b"/sized", b"content-length: 1048577", b""),
        (b"/sized", b"transfer-encoding: chunked", b"100001\r\n" + b"1" * 1_048_577 + b"\r\n"),
    ],
)
async def test_a_body_above_the_limit_of_its_route_is_refused(path: bytes, head: bytes, body: bytes) -> None:
    async with served() as server:
        client = await server.connect(
            b"POST %s HTTP/1.1\r\ncontent-type: application/json\r\n%s\r\n\r\n" % (path, head)
        )
        await client.send(body)
        status, headers, document = await client.answer()

        assert await client.is_closed()
    assert (status, document["error"]) == (413, "TooLarge")
    assert headers["connection"] == "close"


async def test_an_early_answer_reaches_a_client_that_still_sends() -> None:
    async with served() as server:
        client = await server.connect(b"POST /sized HTTP/1.1\r\ncontent-length: 4000000\r\n\r\n")
        await client.send(*[b"1" * 100_000] * 20)
        status, _, _ = await client.answer()

    assert status == 413


async def test_a_connection_goes_on_after_a_body_that_nobody_read() -> None:
    async with served() as server:
        client = await server.connect(b"POST /unread HTTP/1.1\r\ncontent-length: 5\r\n\r\n")
        first = await client.answer()
        await client.send(b"12345", GET)
        second = await client.answer()
        stuck = await server.connect(b"POST /unread HTTP/1.1\r\ncontent-length: 5\r\n\r\n")
        assert (await stuck.answer())[0] == 200

        assert await stuck.is_closed()
    assert (first[2], second[2]) == ("not read", "small")


@pytest.mark.parametrize("path", [b"/sized", b"/unread"])
@pytest.mark.parametrize("endless", [b"0\r\na: b\r\n" + b"a: b\r\n" * 9_000, b"1;a=" + b"b" * 50_000])
async def test_framing_without_data_is_refused(path: bytes, endless: bytes) -> None:
    async with served() as server:
        client = await server.connect(b"POST %s HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" % path)
        if path == b"/unread":
            assert (await client.answer())[0] == 200
        for _ in range(3):  # what comes together with the headers is not counted
            await client.send(endless)
            await asyncio.sleep(0.05)
        if path == b"/sized":
            assert (await client.answer())[2]["error"] == "InvalidHttp"

        assert await client.is_closed()


async def test_requests_above_the_limit_get_a_503_but_not_probes() -> None:
    async with served(max_requests=1) as server:
        slow = await server.connect(GET.replace(b"/small", b"/slow"))
        await eventually(lambda: len(server.shared.open) == 1)
        await asyncio.sleep(0.05)
        probe = await (await server.connect(GET.replace(b"/small", b"/livez"))).answer()
        other = await server.connect(GET)
        status, headers, document = await other.answer()
        assert await other.is_closed()
        slow.close()

    assert (status, headers["retry-after"], document["error"]) == (503, "1", "Unavailable")
    assert probe[0] == 200


async def test_requests_whose_body_is_still_to_come_take_no_place_of_others() -> None:
    """1,000 slow bodies of a caller with a key left no place for anybody else."""
    async with served(max_requests=1) as server:
        head = b"POST /sized HTTP/1.1\r\ncontent-length: 20\r\n\r\n"
        slow = [await server.connect(head)]
        await eventually(lambda: server.shared.reading == 1)
        slow.append(await server.connect(head))
        await eventually(lambda: server.shared.reading == 2)
        other = await (await server.connect(GET)).answer()
        for client in slow:
            await client.send(b"a" * 20)
        uploads = [await client.answer() for client in slow]

    assert [other[0], *(upload[0] for upload in uploads)] == [200, 200, 200]


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_client"])
async def test_connections_above_the_limit_get_a_503(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SURPLUS", 1)
    async with served(**{limit: 2}) as server:
        kept = [await server.connect(GET) for _ in range(2)]
        assert [(await client.answer())[0] for client in kept] == [200, 200]
        surplus = await server.connect(GET)
        status, headers, _ = await surplus.answer()
        assert await surplus.is_closed()
        assert [await kept[0].send(GET), (await kept[0].answer())[0]] == [None, 200]
        kept[1].close()
        await eventually(lambda: len(server.shared.open) < 2)
        again = await (await server.connect(GET)).answer()

    assert (status, headers["retry-after"], again[0]) == (503, "1", 200)


async def test_idle_connections_make_room_where_many_are_open() -> None:
    async with served(max_connections=4) as server:
        clients = [await server.connect(GET) for _ in range(4)]
        assert [(await client.answer())[0] for client in clients] == [200] * 4

        await eventually(lambda: len(server.shared.open) <= 3)


async def test_requests_without_a_pause_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    before = refused("pipelined")
    async with served() as server:
        client = await server.connect(GET.replace(b"/small", b"/slow") + GET * 100)

        assert await client.is_closed()
    assert refused("pipelined") == before + 1
    assert not caplog.records, "the application may still answer"


async def test_a_client_that_does_not_read_its_answer_is_cut() -> None:
    async with served(write_seconds=0.2) as server:
        await server.connect(GET.replace(b"/small", b"/large"))
        await eventually(lambda: len(server.shared.open) == 1)
        await eventually(lambda: not server.shared.open)

    assert refused("unread_answer") >= 1


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
