"""The format of log lines, names of metrics, and trace headers."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from opentelemetry import trace
from prometheus_client import generate_latest

from shared.observability import counter, tracing
from shared.observability.logging import RateLimit

ROOT = Path(__file__).parents[3]
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines_of(program: str, **environment: str) -> list[dict[str, object]]:
    """Run a program that is configured as a service is; logs are the whole of its output."""
    begin = (
        "import logging, structlog\n"
        "from shared import observability\n"
        "from shared.settings import ObservabilitySettings\n"
        "observability.configure('tracker-worker', ObservabilitySettings())\n"
        "log = structlog.get_logger()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", begin + program],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def test_a_log_line_is_json_with_the_event_first_and_what_is_bound() -> None:
    (line,) = lines_of(
        "with observability.bound(request_id='r1'), observability.tracing.work('x', ['" + GIVEN + "']):\n"
        "    log.info('order.placed', lines=3, key=b'x')"
    )

    assert next(iter(line)) == "event"
    assert line.pop("timestamp")
    assert line == {
        "event": "order.placed",
        "lines": 3,
        "key": "b'x'",
        "request_id": "r1",
        "service": "tracker-worker",
        "level": "info",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }


def test_libraries_log_in_the_same_shape_and_exceptions_are_one_line() -> None:
    first, second = lines_of(
        "logging.getLogger('uvicorn').warning('it is %s', 'late')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('sum.failed')"
    )

    assert (first["event"], first["logger"], first["level"]) == ("it is late", "uvicorn", "warning")
    assert "ZeroDivisionError" in str(second["exception"])


def test_the_level_is_a_setting() -> None:
    assert lines_of("log.info('x'); logging.getLogger('y').info('x')", LOG_LEVEL="WARNING") == []


def test_a_noisy_library_is_held_to_one_line_of_a_kind() -> None:
    limit = RateLimit(("aiokafka",), seconds=60)

    def let_through(logger: str, message: str) -> bool:
        return limit.filter(logging.LogRecord(logger, 30, "f", 1, message, (), None))

    assert [let_through("aiokafka.conn", "no broker %s") for _ in range(100)].count(True) == 1
    assert let_through("aiokafka.conn", "another kind")
    assert all(let_through("shop", "no broker %s") for _ in range(3))


def test_the_next_line_says_how_many_were_left_out() -> None:
    limit = RateLimit(("aiokafka",), seconds=0.0)
    limit._last[("aiokafka", "gone")] = (0.0, 41)
    record = logging.LogRecord("aiokafka", 30, "f", 1, "gone", (), None)

    assert limit.filter(record)
    assert record.getMessage() == "gone (41 more like it were left out)"


def test_metrics_are_named_after_the_product() -> None:
    with pytest.raises(ValueError, match="endcap_"):
        counter("requests_total", "…")


def test_metrics_say_how_the_process_does() -> None:
    body = generate_latest()

    assert b"process_resident_memory_bytes" in body
    assert b"python_gc_objects_collected_total" in body


def test_what_arrives_with_a_trace_is_sent_on_in_it() -> None:
    with tracing.work("GET /", [GIVEN]):
        sent = tracing.traceparent()

    assert sent == GIVEN


def test_a_batch_belongs_to_the_trace_of_its_first_record() -> None:
    with tracing.work("batch", ["", "nonsense", GIVEN, GIVEN.replace("0af", "1af")]):
        assert tracing.traceparent() == GIVEN


@pytest.mark.parametrize("header", ["", "00-0-0-0", GIVEN.upper(), "00-" + "0" * 32 + "-" + "1" * 16 + "-01"])
def test_a_broken_traceparent_begins_a_new_trace(header: str) -> None:
    with tracing.work("GET /", [header]):
        version, trace_id, span_id, flags = tracing.traceparent().split("-")

    assert (version, len(trace_id), len(span_id), flags) == ("00", 32, 16, "00")
    assert trace_id not in header


def test_a_trace_ends_with_its_work() -> None:
    with tracing.work("GET /", [GIVEN]):
        pass

    assert not trace.get_current_span().get_span_context().is_valid
    assert tracing.traceparent() != tracing.traceparent()


def test_spans_are_exported_where_a_collector_is_named() -> None:
    """With an endpoint a batch gets a span of its own, in the trace of the first record."""
    (line,) = lines_of(
        "with observability.tracing.work('batch', ['" + GIVEN + "']):\n"
        "    log.info('sent', sent=observability.tracing.traceparent())\n"
        "import os; import sys; sys.stdout.flush(); os._exit(0)",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )

    _, trace_id, span_id, _ = str(line["sent"]).split("-")
    assert trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert span_id != "b7ad6b7169203331"


@pytest.mark.parametrize("headers", [[], [(b"traceparent", GIVEN.encode())]])
async def test_a_request_is_answered_inside_its_trace(headers: list[tuple[bytes, bytes]]) -> None:
    sent: list[str] = []

    async def app(*_: object) -> None:
        sent.append(tracing.traceparent())

    await tracing.TracedRequests(app)({"type": "http", "method": "GET", "headers": headers}, None, None)  # type: ignore[arg-type]

    assert (GIVEN.split("-")[1] in sent[0]) == bool(headers)
