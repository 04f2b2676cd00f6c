"""One WebSocket of the real-time protocol: its messages, and its subscriptions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import orjson

from services.recommender.api.graphql.arguments import InvalidVariables
from services.recommender.api.graphql.credentials import permission_of, principal_of
from services.recommender.api.graphql.endpoint import checked_request, of_api_error
from services.recommender.api.graphql.errors import FieldError, RequestError, malformed
from services.recommender.api.graphql.handshake import as_request, handshake_header
from services.recommender.api.graphql.subscriptions import Subscription
from services.recommender.api.graphql.values import checked_id
from services.recommender.metrics import SUBSCRIPTION_MESSAGES
from shared.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import Scope

    from services.recommender.api.graphql.documents import Documents, RootField
    from services.recommender.api.graphql.subscriptions import Subscriptions
    from shared.auth import Authenticator, Principal

KEEP_ALIVE_SECONDS: Final = 60.0
"""The interval of `ka`, as that of AppSync."""

CONNECTION_TIMEOUT_MILLISECONDS: Final = 300_000
"""After this time without a message a client reconnects; AppSync's value."""

MAX_SUBSCRIPTIONS: Final = 100
"""Subscriptions of one connection; AppSync's limit."""

MAX_WAITING: Final = 1_000
"""Messages that wait for a slow client, before the connection is closed; arbitrary."""

MAX_SUBSCRIPTION_ID: Final = 128

_SENT, _DROPPED = SUBSCRIPTION_MESSAGES.labels("sent"), SUBSCRIPTION_MESSAGES.labels("dropped")


class RealtimeConnection:
    """Answers messages. Messages to the client wait in a queue of limited length."""

    def __init__(
        self, documents: Documents, subscriptions: Subscriptions, authenticator: Authenticator
    ) -> None:
        self._documents = documents
        self._all = subscriptions
        self._authenticator = authenticator
        self._own: dict[str, Subscription] = {}
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING + 1)
        self.is_initialized = False

    @property
    def is_empty(self) -> bool:
        """Return whether everything was sent."""
        return self._waiting.empty()

    async def next_message(self) -> bytes | None:
        """Return the next message to the client; None if the connection must be closed."""
        return await self._waiting.get()

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in self._own.values():
            self._all.remove(subscription)
        self._own.clear()

    def keep_alive(self) -> None:
        """Tell the client that the connection is alive."""
        self._send(b'{"type":"ka"}')

    def refuse(self, error: RequestError) -> None:
        """Tell the client why it may not connect, and close the connection."""
        first = {**error.document["errors"][0], "errorCode": error.status}
        self._send(orjson.dumps({"type": "connection_error", "payload": {"errors": [first]}}))
        self._end()

    async def receive(self, text: str | bytes, scope: Scope) -> None:
        """Answer a message of the client."""
        try:
            message = orjson.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self._error(None, malformed("A message is a JSON object with a type."))
            return
        match message.get("type"):
            case "connection_init":
                self.is_initialized = True
                payload = b'{"connectionTimeoutMs":%d}' % CONNECTION_TIMEOUT_MILLISECONDS
                self._send(b'{"type":"connection_ack","payload":%b}' % payload)
                self.keep_alive()
            case "start":
                await self._start(message, scope)
            case "stop":
                self._stop(message.get("id"))
            case _:
                self._error(message.get("id"), malformed("The type is connection_init, start or stop."))

    async def _start(self, message: dict[str, Any], scope: Scope) -> None:
        identifier: Any = message.get("id")
        try:
            self._check_start(identifier)
            payload = message.get("payload")
            principal = await self._principal(payload, scope)
            self._own[identifier] = self._subscription(identifier, payload, principal)
        except RequestError as error:
            self._error(identifier, error)
            return
        except InvalidVariables as invalid:
            self._errors(identifier, invalid.errors)
            return
        self._send(b'{"type":"start_ack","id":%b}' % orjson.dumps(identifier))
        self._all.add(self._own[identifier])

    def _check_start(self, identifier: Any) -> None:
        if not self.is_initialized:
            raise malformed("Send connection_init first.")
        if not isinstance(identifier, str) or not 0 < len(identifier) <= MAX_SUBSCRIPTION_ID:
            raise malformed(f"id must be a string of 1 to {MAX_SUBSCRIPTION_ID} characters.")
        if identifier in self._own:
            raise RequestError(400, "DuplicatedOperationError", "There is a subscription with this id.")
        if len(self._own) >= MAX_SUBSCRIPTIONS:
            detail = f"A connection may have {MAX_SUBSCRIPTIONS} subscriptions."
            raise RequestError(400, "MaxSubscriptionsReachedError", detail)

    async def _principal(self, payload: Any, scope: Scope) -> Principal:
        """Return the caller by the credentials of the message; raise RequestError."""
        extensions = payload.get("extensions") if isinstance(payload, dict) else None
        credentials = extensions.get("authorization") if isinstance(extensions, dict) else None
        if not isinstance(credentials, dict):
            credentials = handshake_header(scope)
        request = as_request(scope, credentials)
        principal = await principal_of(self._authenticator, request, b"")
        try:
            permission = permission_of(self._authenticator, principal, "subscription")
        except ApiError as error:
            raise of_api_error(error) from None
        if (refused := permission("onRecommendations")) is not None:
            raise RequestError(403, refused.error_type, str(refused))
        return principal

    def _subscription(self, identifier: str, payload: Any, principal: Principal) -> Subscription:
        """Return the subscription of a message; raise RequestError or InvalidVariables."""
        data = payload.get("data") if isinstance(payload, dict) else None
        try:
            document = orjson.loads(data) if isinstance(data, str) else data
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise malformed("payload.data must be the JSON of query and variables.")
        field, user_id = self._root_field(document)
        quoted = orjson.dumps(identifier)

        def deliver(encoded: bytes) -> None:
            self._send(b'{"id":%b,"type":"data","payload":{"data":%b}}' % (quoted, encoded))

        return Subscription(principal.own_tenant, user_id, field, deliver)

    def _root_field(self, body: dict[str, Any]) -> tuple[RootField, str]:
        request = checked_request(body)
        document = self._documents.get(request.query)
        if document.errors:
            raise InvalidVariables(document.errors)
        operation = document.operation(request.operation_name)
        if operation.kind != "subscription":
            raise malformed("Only subscriptions run over a WebSocket.")
        if not operation.fields:
            raise malformed("A subscription selects fields without directives.")
        field = operation.fields[0]
        arguments = field.arguments.of(operation.variables.coerce(request.variables))
        try:
            return field, checked_id("userId", arguments["userId"])
        except FieldError as error:
            raise RequestError(400, error.error_type, str(error)) from None

    def _stop(self, identifier: Any) -> None:
        subscription = self._own.pop(identifier, None) if isinstance(identifier, str) else None
        if subscription is None:
            self._error(identifier, malformed("There is no subscription with this id."))
            return
        self._all.remove(subscription)
        self._send(b'{"type":"complete","id":%b}' % orjson.dumps(identifier))

    def _error(self, identifier: Any, error: RequestError) -> None:
        self._errors(identifier, [{**error.document["errors"][0], "errorCode": error.status}])

    def _errors(self, identifier: Any, errors: list[dict[str, Any]]) -> None:
        document: dict[str, Any] = {"type": "error", "payload": {"errors": errors}}
        if isinstance(identifier, str):
            document["id"] = identifier
        self._send(orjson.dumps(document))

    def _send(self, message: bytes) -> None:
        if self._waiting.qsize() >= MAX_WAITING:
            _DROPPED.inc()
            self._end()
            return
        _SENT.inc()
        self._waiting.put_nowait(message)

    def _end(self) -> None:
        if not self._waiting.full():
            self._waiting.put_nowait(None)
