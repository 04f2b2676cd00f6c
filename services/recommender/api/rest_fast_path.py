"""The fast path: the most frequent REST routes, answered without FastAPI, and under its server without ASGI.

It takes a GET request of a known route with one id, at most a valid limit, and an API key that was verified
within the last minute. The application handles every other request, and returns the same bytes for these; a
test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import unquote

from services.recommender.api.parameters import DEFAULT_LIMIT, DEFAULT_SIMILAR, LIMIT_NAMES, MAX_LIMIT
from services.recommender.domain.recipes import AFFINITY, SIMILAR, USER
from shared.experiments import BACKEND, PREFIX, RESERVED

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.recommender.api.replies import Reply
    from services.recommender.api.rest_answers import RestAnswers
    from services.recommender.api.usual_lists import UsualLists
    from shared.auth import Authenticator


class _Route(NamedTuple):
    kind: Literal["user", "item"]
    recipe: str
    limit: int
    for_backend: bool = False


_Request = tuple[_Route, str, str, int]
"""The route, the tenant, the id and the limit of a request."""

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

    def __init__(
        self, app: ASGIApp, answers: RestAnswers, usual_lists: UsualLists, authenticator: Authenticator
    ) -> None:
        self._app = app
        self._answers = answers
        self._usual_lists = usual_lists
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        answer = None
        if scope["type"] == "http" and scope["method"] == "GET":
            request = self._request(scope["path"], scope["query_string"], dict(scope["headers"]))
            answer = None if request is None else self._answer(*request)
        if answer is None:
            await self._app(scope, receive, send)
            return
        reply = await answer
        await send({"type": "http.response.start", "status": 200, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})

    def direct(
        self, url: bytes, headers: Mapping[bytes, bytes], head: bytes
    ) -> Coroutine[Any, Any, bytes] | None:
        """Return the answer of a request as `shared.http.direct` sends it; None for one to be passed on."""
        if not url.isascii() or b"#" in url:
            return None
        path, _, query = url.decode().partition("?")
        request = self._request(unquote(path) if "%" in path else path, query.encode(), headers)
        if request is None:
            return None
        route, tenant, identifier, limit = request
        if route is _USER:
            return self._usual_lists.message(tenant, identifier, limit, head)
        return _message(self._answer(*request), head)

    def _request(self, path: str, query: bytes, headers: Mapping[bytes, bytes]) -> _Request | None:
        """Return what a GET request asks for; None for one that the application has to handle."""
        prefix, _, identifier = path.rpartition("/")
        route = ROUTES.get(prefix)
        if route is None or not 0 < len(identifier) <= _MAX_ID_CHARACTERS or "\0" in identifier:
            return None
        limit = _limit(query, route)
        if limit is None or identifier in RESERVED:
            return None
        principal = self._authenticator.known_key(headers)
        if (
            principal is None
            or principal.tenant is None
            or not self._authenticator.admits(principal, "recommend")
        ):
            return None
        return route, principal.tenant, identifier, limit

    def _answer(self, route: _Route, tenant: str, identifier: str, limit: int) -> Coroutine[Any, Any, Reply]:
        if route.kind == "user":
            return self._answers.for_user(tenant, identifier, limit, None, route.recipe)
        if route.for_backend:
            return self._for_backend(tenant, identifier, limit, route.recipe)
        return self._answers.for_item(tenant, identifier, limit, None, route.recipe)

    async def _for_backend(self, tenant: str, item_id: str, limit: int, recipe: str) -> Reply:
        reply = await self._answers.for_item(tenant, item_id, limit, None, recipe)
        return self._answers.for_backend(tenant, reply)


async def _message(answer: Coroutine[Any, Any, Reply], head: bytes) -> bytes:
    return (await answer).message(head)


def _limit(query: bytes, route: _Route) -> int | None:
    """Return the limit of a query string; None if it is invalid, or there are other parameters."""
    if not query:
        return route.limit
    name, _, digits = query.partition(b"=")
    if len(digits) > 3 or name not in _LIMITS or not digits.isdigit():
        return None
    limit = int(digits)
    return limit if 1 <= limit <= MAX_LIMIT else None
