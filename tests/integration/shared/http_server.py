"""A uvicorn server with BoundedProtocol, and clients that write raw bytes to it."""

# No postponed annotations here: FastAPI could not resolve those that are made inside a function.
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import orjson
import uvicorn
from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import StreamingResponse

from shared.http import BoundedProtocol, Connections
from shared.http.connections import REFUSED
from shared.http.direct import DirectPath
from shared.http.fast_path import FastPathApplication
from shared.http.raw_routes import RawRoutes
from shared.http.request_bodies import read_body
from shared.http.runtime import application
from shared.settings import HttpSettings
from tests.support.waiting import PATIENCE

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

    @router.get("/pause")
    async def pause() -> str:
        await asyncio.sleep(0.1)
        return "pause"

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

    def __init__(self, server: uvicorn.Server, shared: Connections, released: asyncio.Event) -> None:
        self.shared = shared
        self.released = released
        self._server = server
        self._port = server.servers[0].sockets[0].getsockname()[1]
        self._clients: list[Client] = []

    async def connect(self, *pieces: bytes) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port))
        self._clients.append(client)
        await client.send(*pieces)
        return client

    @property
    def tasks(self) -> int:
        """The number of requests that the server awaits when it stops."""
        return len(self._server.server_state.tasks)

    async def stop(self) -> None:
        """Stop the server; its clients stay."""
        await self._server.shutdown()

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def served(
    direct: DirectPath | None = None,
    direct_posts: Sequence[RawRoutes] = (),
    graceful_seconds: float | None = None,
    **limits: float,
) -> AsyncIterator[Served]:
    settings = HttpSettings(**{f"http_{name}": value for name, value in limits.items()})
    shared, released = Connections(settings), asyncio.Event()
    app = application("test", parts=[], routers=[routes(released), odd_routes()])
    config = uvicorn.Config(
        FastPathApplication(app, app, settings, direct=direct, direct_posts=direct_posts),
        port=0,
        http=partial(BoundedProtocol, shared),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=graceful_seconds,  # type: ignore[arg-type] # asyncio takes fractions
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    running = Served(server, shared, released)
    try:
        yield running
    finally:
        running.close()
        released.set()
        await server.shutdown()


def refused(reason: str) -> float:
    return REFUSED.labels(reason)._value.get()
