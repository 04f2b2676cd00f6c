"""Parse the events of one request, each on its own: an invalid event does not reject its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from pydantic import ValidationError

from services.tracker.domain.formats import EVENT_FORMATS
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import AcceptedCall, Outcome, Rejected, validation_message

MAX_CALL_EVENTS = 10_000
"""Events that the calls of one request may become with their products. Arbitrary: 500 KiB hold about 5,000
products with a name and a price."""

_ID_NAMES = ("event_id", "id", "messageId", "eventId", "uuid", "eid")

Parse = Callable[[Mapping[str, Any], IngestContext], Outcome]


def parse_in_any_format(event: Mapping[str, Any], context: IngestContext) -> Outcome:
    """Return the outcome of an event of `POST /v1/events`: its members tell its format."""
    for event_format in EVENT_FORMATS:
        if event_format.matches(event):
            return event_format.parse(event, context)
    return Rejected("The event has no known format.", _sender_id(event))


def parse_events(
    events: Sequence[Any],
    context: IngestContext,
    *,
    max_bytes: int | None,
    parse: Parse = parse_in_any_format,
) -> list[Outcome]:
    """Return the outcome of each event of a request.

    `max_bytes` bounds one event as JSON; None when the whole request is not larger than that.
    """
    outcomes: list[Outcome] = []
    call_events = 0
    for event in events:
        outcome = _parse_event(event, context, max_bytes, parse)
        if isinstance(outcome, AcceptedCall):
            call_events += len(outcome.events)
            if call_events > MAX_CALL_EVENTS:
                reason = f"The calls have more than {MAX_CALL_EVENTS:,} products in all. Send fewer calls."
                outcome = Rejected(reason, outcome.id)
        outcomes.append(outcome)
    return outcomes


def _parse_event(event: Any, context: IngestContext, max_bytes: int | None, parse: Parse) -> Outcome:
    if not isinstance(event, dict):
        return event if isinstance(event, Rejected) else Rejected("An event is a JSON object.")
    try:
        if max_bytes is not None and len(orjson.dumps(event)) > max_bytes:
            return Rejected(f"The event is larger than {max_bytes} bytes.", _sender_id(event))
        return parse(event, context)
    except ValidationError as error:
        return Rejected(validation_message(error), _sender_id(event))
    except (ValueError, TypeError) as error:  # a lone surrogate, or nesting that orjson cannot write
        return Rejected(f"The event cannot be written as JSON: {error}.", _sender_id(event))


def _sender_id(event: Mapping[str, Any]) -> str | None:
    """Return the sender's id of an event that is not valid, so that the response can name it."""
    for name in _ID_NAMES:
        value = event.get(name)
        if isinstance(value, str | int) and len(str(value)) <= 256:
            return str(value).encode(errors="replace").decode()
    return None
