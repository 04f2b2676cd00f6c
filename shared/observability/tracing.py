"""Traces: every request and record carries a W3C `traceparent`.

With an OTLP endpoint the OpenTelemetry SDK exports spans. Without one the SDK is not imported and no spans
are made: a received `traceparent` is passed on, which costs a few microseconds.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from opentelemetry import context, trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_MAX_LINKS = 32  # of one span; arbitrary
_TRACED = "endcap.traced"

_exporting = False


def configure(service: str, endpoint: str | None) -> None:
    """Export the spans of this process to the OTLP/HTTP collector at `endpoint`, unless it is None."""
    global _exporting  # noqa: PLW0603 - OpenTelemetry has one provider in a process
    if endpoint is None or _exporting:
        return
    # Imported here because the SDK and its exporter take 150 ms and 10 MB that few processes need.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": f"endcap-{service}"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    _exporting = True


def exporting() -> bool:
    """Return whether this process exports spans."""
    return _exporting


def current() -> str | None:
    """Return the `traceparent` of the current span; None outside of a trace."""
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return None
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{int(here.trace_flags):02x}"


def traceparent() -> str:
    """Return the `traceparent` of the current span, or that of a new trace."""
    if (here := current()) is not None:
        return here
    random = os.urandom(24).hex()
    return f"00-{random[:32]}-{random[32:]}-00"


@contextlib.contextmanager
def work(name: str, received: Iterable[str] = (), kind: SpanKind = SpanKind.SERVER) -> Iterator[None]:
    """Run the context in the trace of a request or a batch, as a span if spans are exported.

    `received` are the `traceparent`s of the request, or of the records: the first is the parent, and the
    others become links, which are read only if spans are exported.
    """
    parents = filter(None, map(_parse, islice(received, _MAX_LINKS)))
    above = context.get_current()
    if (parent := next(parents, None)) is not None:
        above = trace.set_span_in_context(NonRecordingSpan(parent), above)
    if _exporting:
        links = [Link(linked) for linked in dict.fromkeys(parents)]
        tracer = trace.get_tracer("endcap")
        with tracer.start_as_current_span(name, context=above, kind=kind, links=links):
            yield
        return
    token = context.attach(above)
    try:
        yield
    finally:
        context.detach(token)


class TracedRequests:
    """ASGI middleware that runs the application in the trace of each request.

    It may be applied twice, to an application and to what is in front of it: a request gets one span.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; without exported spans and a `traceparent` nothing is added."""
        if scope["type"] != "http" or _TRACED in scope:
            await self._app(scope, receive, send)
            return
        received = [value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"]
        if not (received or _exporting):
            await self._app(scope, receive, send)
            return
        scope[_TRACED] = True
        with work(f"HTTP {scope['method']}", received):  # a path may hold a user's id
            await self._app(scope, receive, send)


def _parse(header: str) -> SpanContext | None:
    match = _TRACEPARENT.fullmatch(header)
    if match is None:
        return None
    parent = SpanContext(
        trace_id=int(match[1], 16),
        span_id=int(match[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(match[3], 16)),
    )
    return parent if parent.is_valid else None
