"""The fast path of a placement: a plain GET request, answered without FastAPI, and mostly without ASGI.

It takes requests whose parameters are valid and known, each once, from callers whose key was verified within
the last minute. The application handles every other request, and returns the same bytes for these; a test
compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, unquote_plus

from services.recommender.api.parameters import MAX_LIMIT
from services.recommender.api.placement_parameters import (
    FIELDS,
    MAX_CART_CHARACTERS,
    cart_items,
    column_names,
)
from services.recommender.api.placements import PREFIX
from services.recommender.serving.placements.request import PlacementRequest
from shared.errors import ApiError
from shared.events.values import LONGEST_ID
from shared.http.devices import REQUEST_HEADERS

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.recommender.api.placement_answers import PlacementAnswers
    from services.recommender.api.replies import Reply
    from shared.auth import Authenticator, Principal
    from shared.http.direct import DirectPath

_HEAD: Final = f"{PREFIX}/"
_RAW_HEAD: Final = _HEAD.encode()
_FIELDS: Final = {name.encode(): field for name, field in FIELDS.items()}
_FLAGS: Final = {"1": True, "true": True, "0": False, "false": False}
_MAX_NAME_CHARACTERS: Final = 63


class PlacementFastPath:
    """An ASGI application that answers simple requests, and passes the others on to `app`."""

    def __init__(
        self, app: ASGIApp, answers: PlacementAnswers, authenticator: Authenticator, direct: DirectPath
    ) -> None:
        """Answer placements; `direct` is the direct path of all other requests."""
        self._app = app
        self._answers = answers
        self._authenticator = authenticator
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        REQUEST_HEADERS.set(dict(scope.get("headers", ())))
        reply = await self._answer(scope) if scope["type"] == "http" else None
        if reply is None:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})

    def direct(
        self, url: bytes, headers: Mapping[bytes, bytes], head: bytes
    ) -> Coroutine[Any, Any, bytes | None] | None:
        """Return the answer of a request as `shared.http.direct` sends it; None for one to be passed on.

        Its coroutine runs in a copy of this context, which knows the headers.
        """
        REQUEST_HEADERS.set(headers)
        if not url.startswith(_RAW_HEAD):
            return self._direct(url, headers, head)
        if not url.isascii() or b"#" in url:
            return None
        path, _, query = url.partition(b"?")
        name = path[len(_RAW_HEAD) :].decode()
        fields = _fields(unquote(name) if "%" in name else name, query)
        if fields is None:
            return None
        request = self._request(self._authenticator.known_key(headers), fields)
        return None if request is None else self._message(request, head)

    async def _message(self, request: PlacementRequest, head: bytes) -> bytes:
        return (await self._answers.reply(request)).message(head)

    async def _answer(self, scope: Scope) -> Reply | None:
        """Return the reply; None for a request that the application has to handle."""
        path = scope["path"]
        if not path.startswith(_HEAD) or scope["method"] != "GET":
            return None
        fields = _fields(path[len(_HEAD) :], scope["query_string"])
        if fields is None:
            return None
        request = self._request(self._authenticator.known(scope), fields)
        if request is None:
            return None
        try:
            return await self._answers.reply(request)
        except ApiError:
            return None

    def _request(self, principal: Principal | None, fields: dict[str, Any]) -> PlacementRequest | None:
        """Return the request of a caller, and count it; None unless the caller may read."""
        if (
            principal is None
            or principal.tenant is None
            or not self._authenticator.admits(principal, "recommend")
        ):
            return None
        return PlacementRequest(principal.tenant, **fields)


def _fields(name: str, query: bytes) -> dict[str, Any] | None:
    """Return the name of the placement and the fields of the query; None for an unusual request."""
    if not 0 < len(name) <= _MAX_NAME_CHARACTERS or "/" in name or "\0" in name:
        return None
    fields = parsed(query)
    if fields is not None:
        fields["placement"] = name
    return fields


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
    if field in {"cart", "columns"}:
        split = cart_items if field == "cart" else column_names
        try:
            return split(text) if len(text) <= MAX_CART_CHARACTERS else None
        except ApiError:
            return None
    return text if 0 < len(text) <= LONGEST_ID and "\0" not in text else None
