"""The short way: busy routes answered in raw ASGI, in front of the FastAPI application.

Only a plain question takes it: a known route, one id, a valid limit or none, an API key that was looked up
within the last minute. Whatever is unusual, or wrong, goes the long way, which gives the same answers from
the same `Answers` and explains what is wrong. A test asks both and compares bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from services.recommender.api.parameters import DEFAULT_LIMIT, DEFAULT_SIMILAR, LIMIT_NAMES, MAX_LIMIT
from services.recommender.api.rest import LEGACY, PREFIX, RESERVED
from services.recommender.domain.recipes import AFFINITY, SIMILAR, USER

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.recommender.api.answers import Answers, Reply
    from shared.auth import Authenticator


class _Route(NamedTuple):
    asks: Literal["user", "item"]
    recipe: str
    limit: int
    for_backends: bool = False


_USER = _Route("user", USER, DEFAULT_LIMIT)
_AFFINITY = _Route("user", AFFINITY, DEFAULT_LIMIT)
_SIMILAR = _Route("item", SIMILAR, DEFAULT_LIMIT)

ROUTES: Final = {
    f"{PREFIX}/recommendations": _USER,
    f"{PREFIX}/recommendations/item-affinity": _AFFINITY,
    f"{PREFIX}/item-affinity": _AFFINITY,
    f"{PREFIX}/recommendations/similar": _SIMILAR,
    f"{PREFIX}/similar-items": _SIMILAR,
    LEGACY: _Route("item", SIMILAR, DEFAULT_SIMILAR, for_backends=True),
}
"""The path before the last slash → what is asked for by the id behind it."""

_LIMITS: Final = frozenset(name.encode() for name in LIMIT_NAMES)
_MAX_ID = 256


class Hot:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, answers: Answers, authenticator: Authenticator) -> None:
        """Hand to `app` what is not a plain question."""
        self._app = app
        self._answers = answers
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        reply = await self._answer(scope) if scope["type"] == "http" else None
        if reply is None:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, scope: Scope) -> Reply | None:
        """None for anything but a plain question."""
        head, _, identifier = scope["path"].rpartition("/")
        route = ROUTES.get(head)
        if route is None or not 0 < len(identifier) <= _MAX_ID or scope["method"] != "GET":
            return None
        if "\0" in identifier:
            return None
        limit = _limit(scope["query_string"], route)
        if limit is None or identifier in RESERVED:
            return None
        principal = self._authenticator.known(scope)
        if principal is None or principal.tenant is None or not self._authenticator.admits(principal, "read"):
            return None
        if route.asks == "user":
            return await self._answers.for_user(principal.tenant, identifier, limit, route.recipe)
        reply = await self._answers.for_item(principal.tenant, identifier, limit, route.recipe)
        return reply.for_backend() if route.for_backends else reply


def _limit(query: bytes, route: _Route) -> int | None:
    """The limit that a query asks for; None for one that says anything else."""
    if not query:
        return route.limit
    name, _, digits = query.partition(b"=")
    if len(digits) > 3 or name not in _LIMITS or not digits.isdigit():
        return None
    limit = int(digits)
    return limit if 1 <= limit <= MAX_LIMIT else None
