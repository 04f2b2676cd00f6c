"""The fast path of a placement: a plain GET request, answered in raw ASGI in front of FastAPI.

It takes requests whose parameters are valid and known, each once, from callers whose key was verified within
the last minute. The application handles every other request, and returns the same bytes for these; a test
compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from services.recommender.api.parameters import MAX_LIMIT
from services.recommender.api.placement_parameters import FIELDS, MAX_CART_CHARACTERS, cart_items
from services.recommender.api.placements import PREFIX
from services.recommender.serving.placements.request import PlacementRequest
from shared.errors import ApiError
from shared.events.values import LONGEST_ID

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.recommender.api.placement_answers import PlacementAnswers
    from services.recommender.api.rest_answers import Reply
    from shared.auth import Authenticator

_HEAD: Final = f"{PREFIX}/"
_FIELDS: Final = {name.encode(): field for name, field in FIELDS.items()}
_FLAGS: Final = {"1": True, "true": True, "0": False, "false": False}
_MAX_NAME_CHARACTERS: Final = 63


class PlacementFastPath:
    """An ASGI application that answers simple requests, and passes the others on to `app`."""

    def __init__(self, app: ASGIApp, answers: PlacementAnswers, authenticator: Authenticator) -> None:
        self._app = app
        self._answers = answers
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        reply = await self._answer(scope) if scope["type"] == "http" else None
        if reply is None:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, scope: Scope) -> Reply | None:
        """Return the reply; None for a request that the application has to handle."""
        path = scope["path"]
        if not path.startswith(_HEAD) or scope["method"] != "GET":
            return None
        name = path[len(_HEAD) :]
        if not 0 < len(name) <= _MAX_NAME_CHARACTERS or "/" in name or "\0" in name:
            return None
        fields = parsed(scope["query_string"])
        if fields is None:
            return None
        principal = self._authenticator.known(scope)
        if principal is None or principal.tenant is None or not self._authenticator.admits(principal, "read"):
            return None
        try:
            return await self._answers.reply(PlacementRequest(principal.tenant, name, **fields))
        except ApiError:
            return None


def parsed(query: bytes) -> dict[str, Any] | None:
    """Return the fields of a query string; None unless all are known, valid and there once."""
    fields: dict[str, Any] = {}
    if not query:
        return fields
    for part in query.split(b"&"):
        name, _, encoded = part.partition(b"=")
        field = _FIELDS.get(name)
        if field is None or field in fields:
            return None
        try:
            text = encoded.decode("ascii")
        except UnicodeDecodeError:
            return None
        if "%" in text or "+" in text:
            text = unquote_plus(text, errors="surrogateescape")
            if not text.isprintable():
                return None
        value = _value(field, text)
        if value is None:
            return None
        fields[field] = value
    return fields


def _value(field: str, text: str) -> str | int | bool | tuple[str, ...] | None:
    """Return the value of a field; None for a text that is invalid, empty or unusual."""
    if field == "limit":
        number = int(text) if text.isdecimal() and len(text) <= 3 else 0
        return number if 1 <= number <= MAX_LIMIT else None
    if field == "explain":
        return _FLAGS.get(text)
    if field == "cart":
        try:
            return cart_items(text) if len(text) <= MAX_CART_CHARACTERS else None
        except ApiError:
            return None
    return text if 0 < len(text) <= LONGEST_ID and "\0" not in text else None
