"""What is passed through: the recommender's REST routes, and a short way for plain requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request, Response

from services.router.domain.surfaces import BACKEND, PREFIX
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.http import accept_any_parameters
from shared.http.runtime import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.router.api.routing import Routing
    from services.router.store.upstream import Reply

_STARTS = (f"{PREFIX}/", BACKEND)


class Passing:
    """The routes, for OpenAPI and for whatever is unusual."""

    def __init__(self, routing: Routing, authenticator: Authenticator) -> None:
        self._routing = routing
        self._reader = Depends(authenticator.require("read"))

    def router(self) -> APIRouter:
        """Two prefixes of the recommender."""
        router = APIRouter(tags=["Recommendations"])
        reader = self._reader

        @router.get(f"{PREFIX}/{{path:path}}", operation_id="pass_recommendations")
        @router.get(f"{BACKEND}/{{path:path}}", operation_id="pass_backend_similar_items")
        async def passed(
            request: Request,
            path: str,  # noqa: ARG001 - it is in the request as it came; here it is documented
            principal: Principal = reader,
        ) -> Response:
            """What the recommender answers here, by the variant of the unit if an experiment runs."""
            return await self._pass(request, principal)

        @router.get(BACKEND, operation_id="pass_backend_recommendations")
        async def passed_backend(request: Request, principal: Principal = reader) -> Response:
            """The same as the recommender's route of this path."""
            return await self._pass(request, principal)

        return router

    async def _pass(self, request: Request, principal: Principal) -> Response:
        accept_any_parameters(request.scope)  # the recommender says which it does not know
        reply = await _asked(self._routing, request.scope, principal.own_tenant)
        response = Response(reply.body, reply.status)
        response.raw_headers = _headers(reply)
        return response


class RestFastPath:
    """The short way, in raw ASGI before the application: for a GET with a key that is known."""

    def __init__(self, app: ASGIApp, routing: Routing, authenticator: Authenticator) -> None:
        """Hand to `app` what is unusual."""
        self._app = app
        self._routing = routing
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass through, or hand on."""
        tenant = self._tenant(scope)
        if tenant is None:
            await self._app(scope, receive, send)
            return
        try:
            reply = await _asked(self._routing, scope, tenant)
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply)})
        await send({"type": "http.response.body", "body": reply.body})

    def _tenant(self, scope: Scope) -> str | None:
        """The tenant of a plain request; None for any other."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(_STARTS):
            return None
        principal = self._authenticator.known(scope)
        if principal is None or principal.tenant is None or not self._authenticator.admits(principal, "read"):
            return None
        return principal.tenant


async def _asked(routing: Routing, scope: Scope, tenant: str) -> Reply:
    raw_path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    return await routing.rest(
        tenant, scope["path"], raw_path.decode("latin-1"), scope["query_string"].decode("latin-1")
    )


def _headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    return [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
