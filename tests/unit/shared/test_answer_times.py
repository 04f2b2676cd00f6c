"""The time until answers begin, by class of status: each answer counts once, whoever gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.types import Message, Receive, Scope, Send

from shared.http.answer_times import TimedAnswers
from shared.http.direct_cycle import DirectCycle
from shared.observability.metrics import LATENCY_BUCKETS, LoopHistogram


def answers(status: str) -> float:
    return REGISTRY.get_sample_value("endcap_http_answer_seconds_count", {"status": status}) or 0.0


async def request(path: str, status: int, kind: str = "http") -> list[Message]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        for number in range(2):
            await send({"type": "http.response.body", "body": b"x", "more_body": number == 0})

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await TimedAnswers(app)({"type": kind, "path": path}, receive, send)
    return sent


@pytest.mark.parametrize(("status", "name"), [(200, "2xx"), (304, "3xx"), (429, "4xx"), (503, "5xx")])
async def test_an_answer_counts_once_by_the_class_of_its_status(status: int, name: str) -> None:
    before = answers(name)

    sent = await request("/v1/events", status)

    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * 2]
    assert answers(name) == before + 1


async def test_probes_and_what_is_no_request_do_not_count() -> None:
    before = answers("5xx")

    for path, kind in (("/readyz", "http"), ("/metrics", "http"), ("/v1/events", "websocket")):
        await request(path, 503, kind)

    assert answers("5xx") == before


class Line:
    """A connection, as far as a direct answer knows it."""

    def __init__(self) -> None:
        self.tasks: set[Any] = set()
        self.call_soon = asyncio.get_running_loop().call_soon
        self.is_answered = asyncio.Event()

    def answered(self) -> None:
        self.is_answered.set()


async def direct(answer: bytes | None) -> bytes | None:
    async def path() -> bytes | None:
        await asyncio.sleep(0)
        return answer

    line: Any = Line()
    coroutine: Coroutine[Any, Any, bytes | None] = path()
    cycle = DirectCycle(line, b"/", [], coroutine)
    cycle.step()
    await line.is_answered.wait()
    return cycle.answer


async def test_a_direct_answer_counts_and_one_that_is_passed_on_does_not() -> None:
    """The application measures the latter."""
    before = answers("2xx")

    assert (await direct(b"HTTP/1.1 200 OK"), answers("2xx")) == (b"HTTP/1.1 200 OK", before + 1)
    assert (await direct(None), answers("2xx")) == (None, before + 1)


def test_buckets_are_cumulative_and_contain_their_bound() -> None:
    histogram = LoopHistogram("a_seconds", "About.", "kind", [0.1, 1.0])
    histogram.of("unused")
    for seconds in (0.1, 0.5, 1.0, 7.0):
        histogram.of("used").observe(seconds)

    (family,) = histogram.collect()
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in family.samples}

    assert {sample.labels["kind"] for sample in family.samples} == {"used"}
    assert samples == {
        ("a_seconds_bucket", "0.1"): 1.0,
        ("a_seconds_bucket", "1.0"): 3.0,
        ("a_seconds_bucket", "+Inf"): 4.0,
        ("a_seconds_count", None): 4.0,
        ("a_seconds_sum", None): 8.6,
    }
    assert [*LATENCY_BUCKETS] == sorted(LATENCY_BUCKETS)
