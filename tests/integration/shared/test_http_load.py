"""Limits of requests and connections at once, and of clients that do not read."""

from __future__ import annotations

import asyncio
import logging

import pytest

from shared.http import connections
from tests.integration.shared.http_server import GET, refused, served
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("quick_connection_limits")


SIGNED = b"POST /json HTTP/1.1\r\nauthorization: AWS4-HMAC-SHA256 x\r\ncontent-length: 5\r\n\r\n[1,2]"


@pytest.mark.parametrize("saturated_by", ["requests", "waits"])
async def test_a_saturated_process_refuses_requests_but_not_probes(saturated_by: str) -> None:
    async with served(max_requests=1 if saturated_by == "requests" else 100) as server:
        slow = await server.connect(GET.replace(b"/small", b"/slow"))
        await eventually(lambda: len(server.shared.open) == 1)
        await asyncio.sleep(0.05)
        server.shared.saturation.refuses = saturated_by == "waits"
        probe = await (await server.connect(GET.replace(b"/small", b"/livez"))).answer()
        other = await server.connect(GET, GET)
        answers = [await other.answer() for _ in range(2)]
        await other.send(SIGNED[:-3])
        await other.send(SIGNED[-3:])
        signed = await other.answer()
        server.shared.saturation.refuses = False
        if saturated_by == "waits":
            await other.send(GET)
            assert (await other.answer())[0] == 200, "the same connection is answered again"
        slow.close()

    assert probe[0] == 200
    for status, headers, document in answers:
        assert (status, headers["retry-after"], document["error"]) == (429, "1", "TooManyRequests")
    assert (signed[0], signed[1]["x-amzn-errortype"]) == (429, "throttlingexception")
    assert signed[2]["__type"] == "ThrottlingException"


@pytest.mark.parametrize(
    "head",
    [b"content-length: 1000000\r\n", b"transfer-encoding: chunked\r\n", b"connection: close\r\n",
     b"content-length: 5\r\nexpect: 100-continue\r\n"],
)  # fmt: skip
async def test_a_refused_request_whose_body_is_not_read_ends_its_connection(head: bytes) -> None:
    async with served() as server:
        server.shared.saturation.refuses = True
        client = await server.connect(b"POST /sized HTTP/1.1\r\n" + head + b"\r\n")

        status, headers, document = await client.answer()

        assert (status, headers["retry-after"], document["error"]) == (429, "1", "TooManyRequests")
        assert await client.is_closed()


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
async def test_connections_above_the_limit_get_a_429(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
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

    assert (status, headers["retry-after"], again[0]) == (429, "1", 200)


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
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not warnings, "the application may still answer"


async def test_a_client_that_does_not_read_its_answer_is_cut() -> None:
    async with served(write_seconds=0.2) as server:
        await server.connect(GET.replace(b"/small", b"/large"))
        await eventually(lambda: len(server.shared.open) == 1)
        await eventually(lambda: not server.shared.open)

    assert refused("unread_answer") >= 1
