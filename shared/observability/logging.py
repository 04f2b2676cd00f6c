"""JSON logs on stdout: one object per line, which starts with the name of the event.

Logs of libraries have the same shape. Libraries that repeat a line ten times a second while a broker is down
are limited to one line in ten seconds.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator, MutableMapping
from typing import Any

import orjson
import structlog
from opentelemetry import trace

from shared.masking import masked

NOISY = ("aiokafka", "faststream", "opentelemetry")
QUIET_SECONDS = 10.0
"""The interval of repeated lines of these libraries; arbitrary."""

EventDict = MutableMapping[str, Any]


def configure(service: str, level: str) -> None:
    """Log to stdout as JSON, from `level` (DEBUG, INFO, WARNING, ERROR) upwards; else raises KeyError."""
    number = logging.getLevelNamesMapping()[level.upper()]

    def add_service(_: object, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_service,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*steps, _render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *steps],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda *arguments: _render(*arguments).decode(),
            ],
        )
    )
    handler.addFilter(RateLimit(NOISY, QUIET_SECONDS))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for verbose in ("aiokafka", "botocore", "httpx"):
        logging.getLogger(verbose).setLevel(max(number, logging.WARNING))


@contextlib.contextmanager
def bound(**values: str) -> Iterator[None]:
    """Add `values` (a request id, a run) to every line that is logged in the context."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


class RateLimit(logging.Filter):
    """Limits repeated lines; the next line of a kind states how many were dropped.

    A kind is a logger and a message before its arguments are filled in.
    """

    def __init__(self, loggers: tuple[str, ...], seconds: float) -> None:
        """Limit the named loggers, and those below them, to one line of a kind in `seconds`."""
        super().__init__()
        self._loggers = loggers
        self._seconds = seconds
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is logged."""
        if not record.name.startswith(self._loggers):
            return True
        kind, now = (record.name, str(record.msg)[:200]), time.monotonic()
        last, left_out = self._last.get(kind, (float("-inf"), 0))
        if now - last < self._seconds:
            self._last[kind] = (last, left_out + 1)
            return False
        self._last[kind] = (now, 0)
        if left_out:
            record.msg = f"{record.msg} ({left_out} more like it were left out)"
        return True


def _add_trace(_: object, __: str, event: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
    return event


def _render(_: object, __: str, event: EventDict) -> bytes:
    name = event.pop("event", "")
    line = _without_passwords({"event": name, **event})
    try:
        return orjson.dumps(line, default=_masked_repr, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Invalid Unicode, such as half of a surrogate pair, must not make the caller fail.
        return json.dumps(line, default=_masked_repr, skipkeys=True).encode()


def _masked_repr(value: object) -> str:
    return masked(repr(value))


def _without_passwords(value: Any) -> Any:
    """Return a value to log with its passwords masked; URLs in messages of errors hold some."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {key: _without_passwords(member) for key, member in value.items()}
        case list() | tuple():
            return [_without_passwords(entry) for entry in value]
        case _:
            return value
