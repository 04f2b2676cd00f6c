"""Direct answers of uvicorn with BoundedProtocol: in order, at the same time, and passed on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.shared.http_server import GET, refused, served
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("quick_connection_limits")


def get(path: str, *lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", "Host: x", *lines, "")).encode()


_PASSED_ON = {"/small", "/slow"}


class Direct:
    """A direct path that answers below /direct, when the test lets it."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.headers: list[Mapping[bytes, bytes]] = []
        self.released: dict[str, asyncio.Event] = {}

    def __call__(self, url: bytes, headers: Mapping[bytes, bytes], head: bytes) -> Any:
        self.headers.append(headers)
        path = url.decode()
        is_mine = path.startswith("/direct") or path in _PASSED_ON
        return self._answer(path, head) if is_mine else None

    async def _answer(self, path: str, head: bytes) -> bytes | None:
        self.started.append(path)
        if path.startswith("/direct/held"):
            await self.released.setdefault(path, asyncio.Event()).wait()
        await asyncio.sleep(0)
        if path in _PASSED_ON:
            return None
        if path == "/direct/broken":
            raise RuntimeError("it breaks")
        if path == "/direct/task":
            async with asyncio.timeout(1):
                await asyncio.sleep(0)
        body = b'"%b"' % path.encode()
        return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


async def test_requests_that_follow_each_other_are_answered() -> None:
    async with served(Direct()) as server:
        client = await server.connect(get("/direct/a"))
        first = await client.answer()
        await client.send(get("/direct/b"))
        second = await client.answer()

    assert (first[0], first[2]) == (200, "/direct/a")
    assert (second[0], second[2]) == (200, "/direct/b")


async def test_pipelined_requests_are_answered_at_once_and_in_their_order() -> None:
    direct = Direct()
    async with served(direct) as server:
        client = await server.connect(get("/direct/held"), get("/direct/b") + get("/direct/c"))
        await eventually(lambda: direct.started == ["/direct/held", "/direct/b", "/direct/c"])
        direct.released["/direct/held"].set()
        answers = [(await client.answer())[2] for _ in range(3)]

    assert answers == ["/direct/held", "/direct/b", "/direct/c"]


KEPT = ("User-Agent: test", "X-Api-Key: k", "x-api-key: l", "Accept: */*")


async def test_requests_with_the_headers_of_the_last_one_are_answered_alike() -> None:
    """The first request of a connection is parsed; the direct path sees the same of those that repeat it."""
    direct = Direct()
    async with served(direct) as server:
        client = await server.connect(get("/direct/a", *KEPT))
        answers = [await client.answer()]
        pieces = [get("/direct/b", *KEPT), get("/direct/c", *KEPT) + get("/direct/d", *KEPT)]
        for piece in (*pieces, get("/direct/e", *KEPT)[:30], get("/direct/e", *KEPT)[30:], *pieces):
            await client.send(piece)
            await asyncio.sleep(0.01)
        answers += [await client.answer() for _ in range(7)]

    assert [body for _, _, body in answers] == [f"/direct/{name}" for name in "abcdebcd"]
    assert len({repr(headers) for headers in direct.headers}) == 1
    assert direct.headers[0] == {
        b"host": b"x",
        b"user-agent": b"test",
        b"x-api-key": b"l",
        b"accept": b"*/*",
    }


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/nowhere", *KEPT),
        get("/small", *KEPT),
        get("/direct/b", "Host: y", *KEPT),
        get("/direct/b", *KEPT).replace(b"HTTP/1.1", b"HTTP/1.0"),
        get("/direct/b", *KEPT, "Content-Length: 0"),
        get("/direct/b", *KEPT).replace(b"GET", b"PUT"),
        get("/direct/b", *KEPT).replace(b"GET ", b"GET  "),
        get("/direct/\x01b", *KEPT),
        get("/direct/b c", *KEPT),
        get("direct/b", *KEPT),
        get("/direct/" + "b" * 70_000, *KEPT),
    ],
)
async def test_other_requests_behind_known_headers_are_parsed(request_bytes: bytes) -> None:
    """They get the answer that they would get on a new connection."""
    async with served(Direct()) as server:
        alone = await (await server.connect(request_bytes)).answer()
        client = await server.connect(get("/direct/a", *KEPT))
        first = await client.answer()
        await client.send(request_bytes)
        second = await client.answer()

    assert first[0] == 200
    assert (second[0], second[2]) == (alone[0], alone[2])


async def test_repeated_requests_keep_their_places_among_others() -> None:
    direct = Direct()
    async with served(direct) as server:
        client = await server.connect(get("/direct/a", *KEPT))
        answers = [await client.answer()]
        paths = ("/direct/held", "/direct/b", "/small", "/direct/c", "/nowhere", "/direct/d")
        await client.send(b"".join(get(path, *KEPT) for path in paths))
        await eventually(lambda: "/direct/held" in direct.released)
        direct.released["/direct/held"].set()
        answers += [await client.answer() for _ in paths]

    bodies = [body for _, _, body in answers]
    assert bodies[:5] == ["/direct/a", "/direct/held", "/direct/b", "small", "/direct/c"]
    assert [status for status, _, _ in answers][5:] == [404, 404]


@pytest.mark.parametrize("passed", ["/small", "/direct/broken", "/direct/task"])
async def test_what_is_not_answered_directly_is_passed_on_in_its_order(passed: str) -> None:
    """The application answers, and requests before and behind it keep their places."""
    async with served(Direct()) as server:
        client = await server.connect(
            get("/direct/a") + get(passed) + get("/direct/b") + get("/nowhere") + get("/direct/c")
        )
        answers = [await client.answer() for _ in range(5)]

    not_found = {"error": "NotFound", "detail": "Not Found"}
    expected = "small" if passed == "/small" else not_found
    bodies = [body for _, _, body in answers]
    # Behind a request of the application the others are the application's too.
    assert bodies == ["/direct/a", expected, "/direct/b", not_found, not_found]


async def test_a_request_of_the_application_waits_for_direct_answers() -> None:
    direct = Direct()
    async with served(direct) as server:
        client = await server.connect(get("/direct/held") + get("/readyz") + get("/direct/b"))
        await eventually(lambda: "/direct/held" in direct.released)
        direct.released["/direct/held"].set()
        answers = [await client.answer() for _ in range(3)]
        await client.send(get("/direct/c"))
        last = await client.answer()

    assert [status for status, _, _ in answers] == [200, 200, 404]
    assert (answers[0][2], last[2]) == ("/direct/held", "/direct/c")


async def test_requests_behind_a_passed_one_are_answered_one_after_the_other() -> None:
    """The next begins when the answer before it is sent, and no other beside it."""
    direct = Direct()
    async with served(direct) as server:
        client = await server.connect(get("/slow") + get("/direct/b"))
        await eventually(lambda: direct.started == ["/slow", "/direct/b"])
        await client.send(get("/pause") + get("/nowhere"))
        await asyncio.sleep(0.05)
        server.released.set()
        answers = [(await client.answer())[2] for _ in range(4)]

    assert answers[:3] == ["slow", "/direct/b", "pause"]
    assert answers[3]["error"] == "NotFound"


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/direct/a", "Content-Length: 2") + b"{}",
        get("/direct/a", "Connection: close"),
        get("/direct/a", "Origin: https://shop.example"),
        get("/direct/a").replace(b"GET", b"POST").replace(b"Host: x", b"Host: x\r\nContent-Length: 0"),
        get("/direct/a").replace(b"HTTP/1.1", b"HTTP/1.0"),
        get("/direct/a", "traceparent: 00-11111111111111111111111111111111-2222222222222222-01"),
    ],
)
async def test_other_requests_are_the_applications(request_bytes: bytes) -> None:
    direct = Direct()
    async with served(direct) as server:
        client = await server.connect(request_bytes)
        status, _, _ = await client.answer()

    assert status in {404, 405}
    assert direct.started == []


async def test_requests_beyond_the_limit_of_a_connection_are_refused() -> None:
    direct, before = Direct(), refused("pipelined")
    async with served(direct) as server:
        await server.connect(get("/direct/held") * 20)
        repeating = await server.connect(get("/direct/a"))
        await repeating.answer()
        await repeating.send(get("/direct/held") * 20)
        await eventually(lambda: refused("pipelined") == before + 2)
        direct.released["/direct/held"].set()

    assert len(direct.started) <= 2 * 17 + 1


async def test_a_client_that_leaves_ends_nothing_else() -> None:
    direct = Direct()
    async with served(direct) as server:
        gone = await server.connect(get("/direct/held") + get("/direct/b"))
        await eventually(lambda: "/direct/held" in direct.released)
        gone.close()
        client = await server.connect(get("/direct/c"))
        assert (await client.answer())[2] == "/direct/c"
        direct.released["/direct/held"].set()
        await client.send(GET)
        assert (await client.answer())[2] == "small"
        await eventually(lambda: len(server.shared.open) == 1)


async def test_an_invalid_request_behind_a_direct_one_closes_the_connection() -> None:
    direct = Direct()
    async with served(direct) as server:
        client = await server.connect(get("/direct/held") + b"NOT HTTP\r\n\r\n")
        await eventually(lambda: "/direct/held" in direct.released)
        assert await client.is_closed()
        direct.released["/direct/held"].set()
        other = await server.connect(get("/direct/a"))
        assert (await other.answer())[0] == 200
