"""JSON logs on stdout, one object a line, the event's name first.

Libraries that log through the standard library come out in the same shape; those that repeat
themselves ten times a second while a broker is away are held to one line in ten seconds.
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

EventDict = MutableMapping[str, Any]


def configure(service: str, level: str) -> None:
    """Send every log line of this process to stdout as JSON, from `level` upwards."""
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
    for talkative in ("aiokafka", "botocore"):
        logging.getLogger(talkative).setLevel(max(number, logging.WARNING))


@contextlib.contextmanager
def bound(**values: str) -> Iterator[None]:
    """Put `values` (a request id, a run) on every line that is logged inside the block."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


class RateLimit(logging.Filter):
    """Let one line of a kind through in a while; the next one says how many were left out.

    A kind is the logger and the message before its arguments are filled in.
    """

    def __init__(self, loggers: tuple[str, ...], seconds: float) -> None:
        """Hold the named loggers, and those below them, to one line of a kind in `seconds`."""
        super().__init__()
        self._loggers = loggers
        self._seconds = seconds
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is let through."""
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
        # Text that is no Unicode, such as half of a surrogate pair: no line may stop whoever writes it.
        return json.dumps(line, default=_masked_repr, skipkeys=True).encode()


def _masked_repr(value: object) -> str:
    return masked(repr(value))


def _without_passwords(value: Any) -> Any:
    """Return what is logged with asterisks for passwords, as URLs in the texts of errors have them."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {key: _without_passwords(each) for key, each in value.items()}
        case list() | tuple():
            return [_without_passwords(each) for each in value]
        case _:
            return value
