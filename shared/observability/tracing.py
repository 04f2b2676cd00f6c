"""Traces: a W3C `traceparent` goes with every request and every record.

With an OTLP endpoint the OpenTelemetry SDK exports spans. Without one there are no spans and no SDK:
what arrives is only handed on, which costs a few microseconds.
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
_MAX_LINKS = 32
_TRACED = "endcap.traced"

_exporting = False


def configure(service: str, endpoint: str | None) -> None:
    """Export the spans of this process to the OTLP/HTTP collector at `endpoint`, if given."""
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


def current() -> str | None:
    """Return the `traceparent` of the work at hand; None when that belongs to no trace."""
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return None
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{int(here.trace_flags):02x}"


def traceparent() -> str:
    """Return the `traceparent` to send along: of the work at hand, else a new trace's."""
    if (here := current()) is not None:
        return here
    random = os.urandom(24).hex()
    return f"00-{random[:32]}-{random[32:]}-00"


@contextlib.contextmanager
def work(name: str, received: Iterable[str] = (), kind: SpanKind = SpanKind.SERVER) -> Iterator[None]:
    """Do the work of a request or a batch inside the trace that it came with.

    `received` holds the `traceparent` of the request, or of each record: the first becomes the
    parent, and the rest are linked. Those are only read where spans are exported.
    """
    parents = filter(None, map(_parse, islice(received, _MAX_LINKS)))
    above = context.get_current()
    if (parent := next(parents, None)) is not None:
        above = trace.set_span_in_context(NonRecordingSpan(parent), above)
    if _exporting:
        links = [Link(other) for other in dict.fromkeys(parents)]
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
    """An ASGI application inside the trace of each request that it answers.

    What is in front of an application may be wrapped too: a request gets one span.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; without exported spans and without a `traceparent` there is nothing else to do."""
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
    found = SpanContext(
        trace_id=int(match[1], 16),
        span_id=int(match[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(match[3], 16)),
    )
    return found if found.is_valid else None
