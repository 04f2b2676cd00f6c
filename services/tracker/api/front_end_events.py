"""`POST /events` of front ends that send one flat event: `{"user_id", "event_type", "item_id"}`.

The same path takes PutEvents of Amazon Personalize, whose body names an event tracker.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import ValidationError

from services.tracker.api.replies import retry_after
from services.tracker.domain.formats.native import parse_native
from services.tracker.domain.outcomes import Rejected, validation_message
from services.tracker.metrics import REJECTED
from shared.aws_server.operations import Answer
from shared.errors import ApiError
from shared.http.request_bodies import members_with

if TYPE_CHECKING:
    from starlette.types import Scope

    from services.tracker.api.intake import Intake
    from services.tracker.domain.ingest_context import IngestContext
    from shared.auth import Authenticator
    from shared.http.raw_routes import RawRoutes

PATH: Final = "/events"
SOURCE: Final = "events"
_JSON: Final = [(b"content-type", b"application/json")]


class FrontEndEvents:
    """Answers these requests, and passes the others on to the operations of Amazon Personalize."""

    def __init__(self, operations: RawRoutes, intake: Intake, authenticator: Authenticator) -> None:
        self._operations = operations
        self._intake = intake
        self._authenticator = authenticator

    @property
    def paths(self) -> Container[str]:
        """Return the paths that are answered."""
        return self._operations.paths

    async def answer(self, scope: Scope, body: bytes) -> Any:
        """Answer a raw ASGI request; an error is `{"error": sentence}`, as these front ends read it."""
        event = members_with(body, "user_id") if scope["path"] == PATH else None
        if event is None:
            return await self._operations.answer(scope, body)
        try:
            principal = await self._authenticator.of_scope(scope, body)
            context = await self._intake.context(principal.may("ingest").own_tenant, scope)
            return await self._record(context, event, len(body))
        except ValidationError as error:
            REJECTED.labels(SOURCE).inc()
            return Answer(400, _JSON, orjson.dumps({"error": validation_message(error)}))
        except ApiError as error:
            return Answer(error.status, [*_JSON, *retry_after(error)], orjson.dumps({"error": error.detail}))

    async def _record(self, context: IngestContext, event: dict[str, Any], size: int) -> Answer:
        parsed = parse_native(event, context)
        if isinstance(parsed, Rejected):
            REJECTED.labels(SOURCE).inc()
            return Answer(400, _JSON, orjson.dumps({"error": parsed.reason}))
        await self._intake.accept([context.marked(parsed, event)], SOURCE, size)
        document = {
            "message": "The event is recorded.",
            "event_id": parsed.event_id,
            "analytics_stored": True,
            "personalize_sent": True,
        }
        return Answer(200, _JSON, orjson.dumps(document))
