"""The fast path: the most frequent REST routes, answered in raw ASGI in front of the FastAPI application.

It takes a GET request of a known route with one id, at most a valid limit, and an API key that was verified
within the last minute. The application handles every other request, and returns the same bytes for these; a
test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from services.recommender.api.parameters import DEFAULT_LIMIT, DEFAULT_SIMILAR, LIMIT_NAMES, MAX_LIMIT
from services.recommender.domain.recipes import AFFINITY, SIMILAR, USER
from shared.experiments import BACKEND, PREFIX, RESERVED

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.recommender.api.rest_answers import Reply, RestAnswers
    from shared.auth import Authenticator


class _Route(NamedTuple):
    kind: Literal["user", "item"]
    recipe: str
    limit: int
    for_backend: bool = False


_USER = _Route("user", USER, DEFAULT_LIMIT)
_AFFINITY = _Route("user", AFFINITY, DEFAULT_LIMIT)
_SIMILAR = _Route("item", SIMILAR, DEFAULT_LIMIT)

ROUTES: Final = {
    f"{PREFIX}/recommendations": _USER,
    f"{PREFIX}/recommendations/item-affinity": _AFFINITY,
    f"{PREFIX}/item-affinity": _AFFINITY,
    f"{PREFIX}/recommendations/similar": _SIMILAR,
    f"{PREFIX}/similar-items": _SIMILAR,
    BACKEND: _Route("item", SIMILAR, DEFAULT_SIMILAR, for_backend=True),
}
"""The path before the last slash → how to answer for the id after it."""

_LIMITS: Final = frozenset(name.encode() for name in LIMIT_NAMES)
_MAX_ID_CHARACTERS = 256


class RestFastPath:
    """An ASGI application that answers simple requests, and passes the others on to `app`."""

    def __init__(self, app: ASGIApp, answers: RestAnswers, authenticator: Authenticator) -> None:
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
        head, _, identifier = scope["path"].rpartition("/")
        route = ROUTES.get(head)
        if route is None or not 0 < len(identifier) <= _MAX_ID_CHARACTERS or scope["method"] != "GET":
            return None
        if "\0" in identifier:
            return None
        limit = _limit(scope["query_string"], route)
        if limit is None or identifier in RESERVED:
            return None
        principal = self._authenticator.known(scope)
        if principal is None or principal.tenant is None or not self._authenticator.admits(principal, "read"):
            return None
        if route.kind == "user":
            return await self._answers.for_user(principal.tenant, identifier, limit, None, route.recipe)
        reply = await self._answers.for_item(principal.tenant, identifier, limit, None, route.recipe)
        return reply.for_backend() if route.for_backend else reply


def _limit(query: bytes, route: _Route) -> int | None:
    """Return the limit of a query string; None if it is invalid, or there are other parameters."""
    if not query:
        return route.limit
    name, _, digits = query.partition(b"=")
    if len(digits) > 3 or name not in _LIMITS or not digits.isdigit():
        return None
    limit = int(digits)
    return limit if 1 <= limit <= MAX_LIMIT else None
