"""A handler that is called again until it succeeds, refuses its events, or the consumer ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from shared.errors import Permanent
from shared.kafka.activity import Activity, ConsumerEnding, pauses
from shared.kafka.causes import Cause, cause_of
from shared.kafka.deadletters import Failure
from shared.observability import counter, histogram
from shared.postgres import refusal

if TYPE_CHECKING:
    from pydantic import BaseModel

    from shared.kafka.records import Positioned, Tombstone

Handler = Callable[[Sequence[Any]], Awaitable[None]]

SPLIT_AFTER = 8
"""Failed calls, about 25 s, before half of the events are tried alone: a small statement may succeed within a
timeout that a large one always exceeds. Arbitrary."""

RETRIED = counter(
    "endcap_kafka_retries_total", "Calls of a handler that failed and are repeated.", ["topic", "group"]
)
SECONDS = histogram("endcap_kafka_handler_seconds", "Duration of one call of a handler.", ["topic", "group"])

log = structlog.get_logger()


class RetryingHandler:
    """The handler of one subscription with its retries."""

    def __init__(self, handler: Handler, activity: Activity, topic: str, group: str) -> None:
        self._handler = handler
        self._activity = activity
        self._names = {"topic": topic, "group": group}
        self._retried = RETRIED.labels(topic, group)
        self._seconds = SECONDS.labels(topic, group)

    async def call(
        self, events: Sequence[BaseModel | Tombstone | Positioned], tries: int, ending: asyncio.Event
    ) -> Failure | None:
        """Return None after a call that succeeded, else the failure of the last call.

        While a dependency fails, a call with one event is repeated without limit, and one with several events
        `SPLIT_AFTER` times. After unexpected errors there are `tries` calls. Raises ConsumerEnding, before
        any call, once `ending` is set.
        """
        unexpected = 0
        for attempts, seconds in enumerate(pauses(), start=1):
            if ending.is_set():
                break
            try:
                with self._seconds.time():
                    await self._handler(events)
            except Exception as error:
                cause = cause_of(error)
                if cause is Cause.DEPENDENCY:
                    log.warning(
                        "kafka.handler_waits", **self._names, error=repr(error), retry_seconds=seconds
                    )
                    self._activity.waits(repr(error))
                    is_last = len(events) > 1 and attempts >= SPLIT_AFTER
                else:
                    unexpected += 1
                    is_last = cause is Cause.REFUSED or unexpected >= tries
                    if cause is Cause.UNEXPECTED:
                        log.exception("kafka.handler_failed", **self._names, events=len(events))
                if is_last:
                    return _failure(error, cause, attempts)
            else:
                self._activity.worked()
                return None
            self._retried.inc()
            await self._activity.pause(seconds, ending)
        raise ConsumerEnding


def _failure(error: Exception, cause: Cause, attempts: int) -> Failure:
    reason = str(error) if isinstance(error, Permanent) else repr(error)
    if (sentence := refusal(error)) is not None:
        reason = f"{sentence} {reason}"
    return Failure(type(error).__name__, reason, attempts, refused=cause in {Cause.REFUSED, Cause.DISPUTED})
