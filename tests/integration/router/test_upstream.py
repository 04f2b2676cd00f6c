"""The router's connections to the recommender: pipelined, with a time limit, and replaced when they break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from services.router.store import upstream as module
from services.router.store.upstream import MAX_PIPELINED, Upstream
from shared.errors import ApiError
from shared.settings import AuthSettings
from tests.support.waiting import PATIENCE, eventually

HEAD = b"HTTP/1.1 200 OK\r\ndate: now\r\n"
AUTH = AuthSettings(endcap_service_key=SecretStr("ek_service_test"))
Handle = Callable[["Recommender", bytes, asyncio.StreamWriter], Awaitable[None]]


def ok(body: bytes, *lines: bytes) -> bytes:
    head = [b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


class Recommender:
    """A server that reads heads of requests and lets the test answer them."""

    def __init__(self, handle: Handle) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._handle = handle

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(request)
                await self._handle(self, request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def calling(handle: Handle, seconds: float = PATIENCE) -> AsyncIterator[tuple[Upstream, Recommender]]:
    """Yield the client of a server whose requests are handled one after the other."""
    recommender = Recommender(handle)
    server = await asyncio.start_server(recommender.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream = Upstream(f"http://127.0.0.1:{port}", AUTH, seconds)
    await upstream.start()
    try:
        yield upstream, recommender
    finally:
        await upstream.stop()
        server.close()
        await server.wait_closed()


async def echo(_: Recommender, request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(ok(request.split()[1], b"X-Recs-Source: redis", b"Server: hidden"))


async def test_simple_requests_share_a_connection_and_get_their_own_answers() -> None:
    async with calling(echo) as (upstream, recommender):
        targets = [b"/api/v1/personalize/recommendations/u%d?limit=3" % n for n in range(MAX_PIPELINED)]
        messages = await asyncio.gather(*(upstream.get("shop", target, HEAD) for target in targets))

    for message, target in zip(messages, targets, strict=True):
        assert message == HEAD + b"x-recs-source: redis\r\ncontent-length: %d\r\n\r\n%b" % (
            len(target),
            target,
        )
    assert recommender.connections == 1
    assert b"x-api-key: ek_service_test\r\n" in recommender.requests[0]
    assert b"x-endcap-tenant: shop\r\n" in recommender.requests[0]


def usual(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ndate: then\r\ncontent-length: %d\r\nx-variant: a\r\n\r\n%b" % (
        len(body),
        body,
    )


@pytest.mark.parametrize("cuts", [(), (1,), (10, 40), (60, 61, 140), (75, 150, 225)])
async def test_usual_answers_are_passed_on_however_they_are_cut(cuts: tuple[int, ...]) -> None:
    """Whole ones as they came, and those that come in pieces with the head of this server."""

    async def in_pieces(recommender: Recommender, _: bytes, writer: asyncio.StreamWriter) -> None:
        if len(recommender.requests) < 3:
            return
        answers = b"".join(usual(request.split()[1]) for request in recommender.requests)
        for begin, end in zip((0, *cuts), (*cuts, len(answers)), strict=True):
            writer.write(answers[begin:end])
            await writer.drain()
            await asyncio.sleep(0.01)

    async with calling(in_pieces) as (upstream, _):
        targets = [b"/a", b"/bcd", b"/e"]
        messages = await asyncio.gather(*(upstream.get("shop", target, HEAD) for target in targets))

    for message, target in zip(messages, targets, strict=True):
        parsed = HEAD + b"x-variant: a\r\ncontent-length: %d\r\n\r\n%b" % (len(target), target)
        assert message in {usual(target), parsed}
    if not cuts:
        assert messages == [usual(target) for target in targets]


async def test_further_requests_get_further_connections_which_are_used_again() -> None:
    async with calling(echo) as (upstream, recommender):
        for _ in range(3):
            requests = [upstream.get("shop", b"/%d" % n, HEAD) for n in range(3 * MAX_PIPELINED)]
            assert len(await asyncio.gather(*requests)) == 3 * MAX_PIPELINED
        calls = [upstream.call("shop", "POST", b"/recommendations", b"", {"a": "b"}) for _ in range(2)]
        await asyncio.gather(*calls)

    assert recommender.connections == 3 + 2


async def test_a_body_has_its_length() -> None:
    async def answer(_: Recommender, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{"\r\n2\r\n"}\r\n0\r\n\r\n')

    async with calling(answer) as (upstream, recommender):
        reply = await upstream.call("shop", "POST", b"/recommendations", b"{}", {"content-type": "x/y"})

    assert reply.body == b'{""}'
    assert b"content-length: 2\r\n" in recommender.requests[0]
    assert recommender.requests[0].startswith(b"POST /recommendations HTTP/1.1\r\n")


async def silent(_: Recommender, _request: bytes, _writer: asyncio.StreamWriter) -> None:
    pass


async def garbage(_: Recommender, _request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")


async def cut(_: Recommender, _request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(ok(b"0123456789")[:-5])
    await writer.drain()
    raise ConnectionResetError


async def closed(_: Recommender, _request: bytes, _writer: asyncio.StreamWriter) -> None:
    raise ConnectionResetError


@pytest.mark.parametrize("handle", [silent, garbage, cut, closed])
async def test_no_answer_is_a_503_after_one_attempt(handle: Handle) -> None:
    seconds = 0.3 if handle is silent else PATIENCE
    async with calling(handle, seconds) as (upstream, recommender):
        requests: list[Any] = [upstream.get("shop", b"/a", HEAD), upstream.call("shop", "GET", b"/b")]
        errors = await asyncio.gather(*requests, return_exceptions=True)

    for error in errors:
        assert isinstance(error, ApiError)
        assert (error.status, error.retry_after) == (503, 1)
    assert len(recommender.requests) == 2


async def test_a_broken_connection_is_replaced() -> None:
    async def first_breaks(recommender: Recommender, request: bytes, writer: asyncio.StreamWriter) -> None:
        if len(recommender.requests) == 1:
            raise ConnectionResetError
        await echo(recommender, request, writer)

    async with calling(first_breaks) as (upstream, recommender):
        with pytest.raises(ApiError):
            await upstream.get("shop", b"/a", HEAD)
        message = await upstream.get("shop", b"/b", HEAD)

    assert message.endswith(b"\r\n\r\n/b")
    assert recommender.connections == 2


async def test_a_connection_that_the_recommender_closes_after_an_answer_is_not_used_again() -> None:
    async def last(_: Recommender, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(request.split()[1], b"Connection: close"))
        await writer.drain()

    async with calling(last) as (upstream, recommender):
        messages = [await upstream.get("shop", b"/%d" % n, HEAD) for n in range(3)]

    assert [message[-2:] for message in messages] == [b"/0", b"/1", b"/2"]
    assert recommender.connections == 3


async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    async with calling(echo, 0.4) as (upstream, recommender):
        await upstream.get("shop", b"/a", HEAD)
        await eventually(lambda: not upstream._shared)
        await upstream.get("shop", b"/b", HEAD)

    assert recommender.connections == 2


async def test_a_target_cannot_hold_another_request() -> None:
    async with calling(echo) as (upstream, recommender):
        for target in (b"/a b", b"/a\r\nx: y", b"a", b"/\x7f"):
            with pytest.raises(ApiError) as refused:
                await upstream.call("shop", "GET", target)
            assert refused.value.status == 400

    assert recommender.requests == []


async def test_nobody_listening_is_a_503() -> None:
    upstream = Upstream("http://127.0.0.1:1", AUTH, PATIENCE)
    await upstream.start()
    with pytest.raises(ApiError) as error:
        await upstream.get("shop", b"/a", HEAD)
    await upstream.stop()

    assert error.value.status == 503
