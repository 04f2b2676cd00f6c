"""Limits of the body of a request: bytes, time and framing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.integration.shared.http_server import GET, served

pytestmark = pytest.mark.usefixtures("quick_connection_limits")


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
