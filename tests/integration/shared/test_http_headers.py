"""Limits of the headers of a request: bytes, count and time."""

from __future__ import annotations

import pytest

from tests.integration.shared.http_server import GET, refused, served

pytestmark = pytest.mark.usefixtures("quick_connection_limits")


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
