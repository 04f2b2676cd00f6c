"""A traced request keeps its trace from the router to the recommender, both as they run in production."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.settings import KafkaSettings
from tests.support.kafka import kafka_environment
from tests.support.processes import process
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, make_tenant
from tests.support.waiting import PATIENCE, until

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


class Collector(ThreadingHTTPServer):
    """Keeps the spans that are exported to it: (service, name, trace, span, parent)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.spans: list[tuple[str, str, str, str, str]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {
                attribute.key: attribute.value.string_value for attribute in resource.resource.attributes
            }
            for scope in resource.scope_spans:
                for span in scope.spans:
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    self.server.spans.append((attributes["service.name"], span.name, *ids))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_request_has_one_trace_from_the_router_to_the_recommender(
    database: Database, kafka_settings: KafkaSettings, redis_url: str, s3: ObjectStore, collector: Collector
) -> None:
    tenant = asyncio.run(make_tenant(database, "traced"))
    environment = {
        **database.environment,
        **s3.environment,
        **kafka_environment(kafka_settings),
        "REDIS_URL": redis_url,
        "ENDCAP_SECRET_KEY": SECRET_KEY,
        "ENDCAP_SERVICE_KEY": SERVICE_KEY,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    headers = {"x-api-key": tenant.read, "traceparent": TRACEPARENT}
    with (
        tempfile.TemporaryDirectory() as folder,
        process("recommender", "serve", environment, Path(folder)) as recommender,
        process(
            "router", "serve", environment | {"ENDCAP_RECOMMENDER_URL": recommender.url}, Path(folder)
        ) as router,
    ):
        # The application answers the first, since the key is not known yet; the fast path answers the second.
        for _ in range(2):
            answer = httpx.get(
                f"{router.url}/api/v1/personalize/recommendations/u1", headers=headers, timeout=PATIENCE
            )
            assert answer.status_code == 200, answer.text
        until(
            lambda: all(
                sum(service == f"endcap-{name}-serve" for service, *_ in collector.spans) >= count
                for name, count in (("router", 4), ("recommender", 2))
            ),
            "the spans of both services came",
        )
        time.sleep(0.5)

    names = {span: (service, name) for service, name, trace, span, _ in collector.spans if trace == TRACE}
    parents = {span: parent for _, _, trace, span, parent in collector.spans if trace == TRACE}
    calls = [span for span, name in names.items() if name == ("endcap-router-serve", "recommender GET")]
    assert len(calls) == 2
    for call in calls:
        # Below a call of the router is what the recommender did; above it, the request of the caller.
        below = [names[span][0] for span, parent in parents.items() if parent == call]
        above = call
        while above in parents:
            above = parents[above]
        assert (below, above) == (["endcap-recommender-serve"], CALLER)
