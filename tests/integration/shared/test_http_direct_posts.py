"""Direct answers to POSTs: from the whole body, in the order of the requests, and never by two answers."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from shared.aws_server.operations import Answer
from shared.http import connections
from tests.integration.shared.http_server import GET, refused, served
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from starlette.types import Scope

pytestmark = pytest.mark.usefixtures("quick_connection_limits")


def post(path: str, body: bytes, *lines: str) -> bytes:
    head = (f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines, "", "")
    return "\r\n".join(head).encode() + body


_NAMES = ("a", "b", "held", "broken", "none", "cancelled", "odd")


class Posts:
    """Routes below /direct, which answer when the test lets them."""

    def __init__(self) -> None:
        self.paths: Container[str] = {f"/direct/{name}" for name in _NAMES}
        self.asked: list[tuple[str, bytes, bytes]] = []
        self.released = asyncio.Event()

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        self.asked.append((scope["path"], scope["query_string"], body))
        match scope["path"]:
            case "/direct/broken":
                raise RuntimeError("it breaks")
            case "/direct/cancelled":
                raise asyncio.CancelledError
            case "/direct/odd":
                return Answer(999, [], b"")
            case "/direct/none":
                return Answer(204, [], b"")
            case "/direct/held":
                async with asyncio.timeout(60):
                    await self.released.wait()
        status = 418 if body == b"tea" else 200
        return Answer(status, [(b"content-type", b"application/json")], orjson.dumps(body.decode()))


async def test_it_answers_from_the_whole_body() -> None:
    posts = Posts()
    async with served(direct_posts=[posts]) as server:
        client = await server.connect(post("/direct/a?x=1", b"first"))
        answers = [await client.answer()]
        for piece in (post("/direct/b", b"in pieces"), post("/direct/a", b""), post("/direct/a", b"tea")):
            for begin in range(0, len(piece), 20):
                await client.send(piece[begin : begin + 20])
                await asyncio.sleep(0.002)
            answers.append(await client.answer())

    assert [(status, body) for status, _, body in answers] == [
        (200, "first"),
        (200, "in pieces"),
        (200, ""),
        (418, "tea"),
    ]
    assert posts.asked[:2] == [("/direct/a", b"x=1", b"first"), ("/direct/b", b"", b"in pieces")]
    assert answers[0][1] == {"content-type": "application/json", "content-length": "7"}


async def test_answers_come_in_the_order_of_the_requests() -> None:
    posts = Posts()
    async with served(direct_posts=[posts]) as server:
        client = await server.connect(
            post("/direct/held", b"1") + post("/direct/a", b"2") + post("/direct/b", b"3") + GET
        )
        await eventually(lambda: len(posts.asked) == 3)
        posts.released.set()
        bodies = [(await client.answer())[2] for _ in range(4)]

    assert bodies == ["1", "2", "3", "small"]
    assert len(posts.asked) == 3


@pytest.mark.parametrize("name", ["broken", "cancelled", "odd"])
async def test_an_exception_is_a_500_and_the_connection_stays(name: str) -> None:
    """The application is not asked too: what the route has done may not be done twice."""
    posts = Posts()
    async with served(direct_posts=[posts]) as server:
        client = await server.connect(post(f"/direct/{name}", b"x"))
        status, _, body = await client.answer()
        await client.send(post("/direct/a", b"next"))
        after = await client.answer()

    assert (status, body["error"]) == (500, "InternalError")
    assert after[2] == "next"
    assert [path for path, _, _ in posts.asked] == [f"/direct/{name}", "/direct/a"]


async def test_an_answer_without_a_body_has_no_length() -> None:
    async with served(direct_posts=[Posts()]) as server:
        client = await server.connect(
            post("/direct/none", b"x") + post("/direct/a", b"y", "Connection: close")
        )
        head, _, rest = (await client.rest()).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 204 No Content")
    assert b"content-length" not in head
    assert rest.startswith(b"HTTP/1.1 404")  # the application's, which closes the connection


@pytest.mark.parametrize(
    "request_bytes",
    [
        post("/nowhere", b"x"),
        post("/direct/a", b"x", "Connection: close"),
        post("/direct/a", b"x", "Origin: https://shop.example"),
        post("/direct/a", b"x", "traceparent: 00-11111111111111111111111111111111-2222222222222222-01"),
        post("/direct/a", b"x").replace(b"HTTP/1.1", b"HTTP/1.0"),
        post("/direct/a", b"x" * 65_537),
        post("/direct/a", b"x").replace(b"POST", b"PUT"),
        post("/direct/a", b"x", "Expect: 100-continue"),
        b"POST /direct/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
async def test_other_requests_are_the_applications(request_bytes: bytes) -> None:
    posts = Posts()
    async with served(direct_posts=[posts]) as server:
        client = await server.connect(request_bytes)
        status, _, _ = await client.answer()

    assert status in {404, 405}
    assert posts.asked == []


async def test_a_slow_body_is_refused_and_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CLOSING_SECONDS", 0.2)
    posts, before = Posts(), refused("body_time")
    async with served(direct_posts=[posts], body_seconds=0.2) as server:
        client = await server.connect(post("/direct/a", b"whole")[:-3])
        status, _, body = await client.answer()
        assert await client.is_closed()
        await eventually(lambda: not server.shared.open)

    assert (status, body["error"]) == (408, "RequestTimeout")
    assert refused("body_time") == before + 1
    assert posts.asked == []


async def test_a_client_that_leaves_before_the_end_of_its_body_is_forgotten() -> None:
    posts = Posts()
    async with served(direct_posts=[posts]) as server:
        leaving = await server.connect(post("/direct/a", b"whole")[:-3])
        await eventually(lambda: server.tasks == 1)
        leaving.close()
        await eventually(lambda: server.tasks == 0)
        waiting = await server.connect(post("/direct/held", b"x"))
        await eventually(lambda: len(posts.asked) == 1)
        waiting.close()  # its event is answered to nobody, and yet recorded once
        await eventually(lambda: len(server.shared.open) == 0)
        posts.released.set()
        await eventually(lambda: server.tasks == 0)

    assert posts.asked == [("/direct/held", b"", b"x")]


async def test_a_server_that_stops_awaits_its_answers() -> None:
    posts = Posts()
    async with served(direct_posts=[posts]) as server:
        client = await server.connect(post("/direct/held", b"x"))
        await eventually(lambda: len(posts.asked) == 1)
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.05)
        posts.released.set()
        answer: Any = await client.answer()
        await stopping

    assert (answer[0], answer[1]["connection"], answer[2]) == (200, "close", "x")


async def test_a_server_that_stops_gives_up_what_does_not_end() -> None:
    """Neither half a body nor an answer that never comes keeps it, or is begun after that."""
    posts = Posts()
    async with served(direct_posts=[posts], graceful_seconds=0.2) as server:
        half = await server.connect(post("/direct/a", b"whole")[:-3])
        waiting = await server.connect(post("/direct/held", b"x") + post("/direct/b", b"half")[:-2])
        await eventually(lambda: server.tasks == 3)

        await server.stop()
        await half.send(b"ole")
        await waiting.send(b"lf")
        assert await half.is_closed()
        await eventually(lambda: server.tasks == 0)

    assert [path for path, _, _ in posts.asked] == ["/direct/held"]


async def test_a_slow_body_behind_another_request_gets_no_answer_of_its_own() -> None:
    """It would be taken for the answer to the first."""
    posts = Posts()
    async with served(direct_posts=[posts], body_seconds=0.2) as server:
        client = await server.connect(post("/direct/held", b"1") + post("/direct/a", b"whole")[:-3])
        rest = await client.rest()
        posts.released.set()  # the server that stops awaits what it has begun

    assert rest == b""
    assert [path for path, _, _ in posts.asked] == ["/direct/held"]
