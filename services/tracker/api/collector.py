"""Answer the requests of clients in every wire format, from bytes to bytes.

The fast path and the routes of FastAPI call `Collector.answer`, so both differ in nothing but speed.
See docs/decisions/0010-event-intake and docs/decisions/0014-http.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import structlog

from services.tracker.api.intake import EVENT_BYTES, Intake
from services.tracker.api.replies import error_answer, members_alone, reply
from services.tracker.domain.batch import parse_events
from services.tracker.domain.documents import InvalidJson
from services.tracker.domain.outcomes import AcceptedCall, Outcome
from services.tracker.domain.wire_format import ClientRequest, ClientRoute, Upload
from shared.auth import Authenticator, AuthError, Principal
from shared.errors import ApiError, Permanent, Transient, unavailable
from shared.events import InteractionRecorded
from shared.http import SMALL_BODY_BYTES, ReadingBudget, declared_bytes
from shared.http.request_bodies import unpacked
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.types import Scope

    from shared.aws_server.operations import Answer

_PUBLIC: Final = frozenset({"ingest", "recommend"})
"""The scopes of keys that pages contain."""
_CREDENTIALS: Final = frozenset({b"x-api-key", b"authorization"})

UNPROVEN: Final = ReadingBudget(16 * 2**20)
"""The memory for large bodies that are read before their sender is known, because only the body has the key.
Arbitrary; it is a budget of its own so that strangers can't exhaust that of senders with a key in the
headers."""

log = structlog.get_logger()


class Collector:
    """Records the events of requests: either Kafka has confirmed them, or the client gets an error."""

    def __init__(self, intake: Intake, authenticator: Authenticator, routes: Sequence[ClientRoute]) -> None:
        self.routes = tuple(routes)
        self._intake = intake
        self._authenticator = authenticator
        self._by_path = {route.path: route for route in routes}
        self.paths = frozenset(route.path for route in routes if route.method == "POST")
        """The paths that the fast path answers."""

    async def read(self, request: Request, route: ClientRoute) -> bytes:
        """Return the body as sent. A large one is read only if a key proves that it may be sent.

        A large body that may name the key itself is read within the budget of `UNPROVEN`. Raises ApiError 401
        or 403 for a caller without the scope `ingest`, 413, 408, and 503 beyond the budgets.
        """
        if declared_bytes(request.scope) <= SMALL_BODY_BYTES:
            return await self._intake.read_body(request)
        _take_key_of_query(request.scope, route)
        if not _has_credentials(request.scope) and route.key_in_body:
            return await self._intake.read_body(request, UNPROVEN)
        await self._authenticator.check_headers(request.scope, "ingest")
        return await self._intake.read_body(request)

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a raw ASGI request with this body, which may be gzip."""
        route = self._by_path[scope["path"]]
        try:
            return await self._collect(route, scope, body)
        except ApiError as error:
            return error_answer(error)
        except InvalidJson as error:
            return error_answer(ApiError(400, "InvalidJson", str(error)))
        except Permanent as error:
            return error_answer(ApiError(400, "InvalidRequest", str(error)))
        except (Transient, *UNAVAILABLE) as error:
            log.warning("tracker.dependency_unavailable", error=repr(error))
            return error_answer(unavailable("A dependency"))

    async def _collect(self, route: ClientRoute, scope: Scope, body: bytes) -> Answer:
        query = _parameters(scope)
        is_in_address = _take_key_of_query(scope, route, query)
        caller = None
        if _has_credentials(scope) or not route.key_in_body:
            caller = await self._admitted(scope, body, is_in_address=is_in_address)
        settings = self._intake.settings
        content = unpacked(body, settings.max_batch_bytes)
        upload = self._upload(route, ClientRequest(route.path, query, dict(scope["headers"]), content))
        if caller is None:
            if isinstance(upload, Upload) and upload.key is not None:
                _set_key(scope, upload.key)
            caller = await self._admitted(scope, body)
        if isinstance(upload, Permanent):
            raise upload
        if not route.records:
            return members_alone(route)
        records = upload.records
        self._check_limits(content, records)
        limit = settings.max_event_bytes
        max_bytes = limit if len(content) > limit else None
        context = await self._intake.context(caller.own_tenant, scope)
        outcomes = parse_events(records, context, max_bytes=max_bytes, parse=route.parse)
        events = [
            context.marked(event, record)
            for record, outcome in zip(records, outcomes, strict=True)
            for event in _events(outcome)
        ]
        if events and route.reply != "validation":
            extra = max(0, len(events) - len(outcomes))
            await self._intake.accept(events, route.source, len(content) + extra * EVENT_BYTES)
        return reply(route, outcomes)

    def _upload(self, route: ClientRoute, request: ClientRequest) -> Upload | Permanent:
        """Return what a request contains, or why it can't be read, which a stranger is not told."""
        try:
            return route.read(request)
        except Permanent as error:
            return error

    async def _admitted(self, scope: Scope, body: bytes, *, is_in_address: bool = False) -> Principal:
        """Return the caller and count the call.

        Only the key of a page may be in an address: addresses are written into logs. Raises AuthError.
        """
        authenticator = self._authenticator
        caller = authenticator.known(scope) or await authenticator.of_scope(scope, body)
        authenticator.admit(caller, "ingest")
        if is_in_address and not caller.scopes <= _PUBLIC:
            detail = (
                "Only the key of a page may be in an address, which logs contain: send this one in a header."
            )
            raise AuthError(403, "KeyInAddress", detail, aws_code="AccessDeniedException")
        return caller

    def _check_limits(self, body: bytes, records: Sequence[Any]) -> None:
        """Raise ApiError 400 for a request without events, 413 for one beyond the limits."""
        settings = self._intake.settings
        if not records:
            raise ApiError(400, "NoEvents", "The request contains no events.")
        if len(records) > settings.max_batch_events:
            detail = (
                f"The request has {len(records)} events; {settings.max_batch_events} are allowed. Send fewer."
            )
            raise ApiError(413, "TooManyEvents", detail)
        if len(records) == 1 and len(body) > settings.max_event_bytes:
            detail = f"The event has {len(body)} bytes; {settings.max_event_bytes} are allowed."
            raise ApiError(413, "TooLarge", detail)


def _events(outcome: Outcome) -> tuple[InteractionRecorded, ...]:
    if isinstance(outcome, InteractionRecorded):
        return (outcome,)
    return outcome.events if isinstance(outcome, AcceptedCall) else ()


def _parameters(scope: Scope) -> dict[str, str]:
    query: bytes = scope["query_string"]
    # As `decode` of UTF-8 would, without an error for a byte that is none.
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


def _has_credentials(scope: Scope) -> bool:
    return any(name in _CREDENTIALS for name, _ in scope["headers"])


def _take_key_of_query(scope: Scope, route: ClientRoute, query: Mapping[str, str] | None = None) -> bool:
    """Make a key in the query the header x-api-key, unless there are credentials; return whether."""
    if not scope["query_string"] or not route.key_parameters or _has_credentials(scope):
        return False
    query = _parameters(scope) if query is None else query
    key = next((query[name] for name in route.key_parameters if query.get(name)), None)
    if key is None:
        return False
    _set_key(scope, key)
    return True


def _set_key(scope: Scope, key: str) -> None:
    scope["headers"] = [*scope["headers"], (b"x-api-key", key.encode(errors="replace"))]
