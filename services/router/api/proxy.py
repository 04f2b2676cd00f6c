"""Proxied requests: the recommender's REST routes, and a fast path for simple ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request, Response

from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.experiments import BACKEND, PREFIX
from shared.http import accept_any_parameters
from shared.http.runtime import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.router.store.upstream import Reply, Upstream

_PREFIXES = (f"{PREFIX}/", BACKEND)


class ProxyRoutes:
    """The routes, for the OpenAPI document and for requests that the fast path does not handle."""

    def __init__(self, upstream: Upstream, authenticator: Authenticator) -> None:
        self._upstream = upstream
        self._reader = Depends(authenticator.require("read"))

    def router(self) -> APIRouter:
        """Return the routes of the two prefixes of the recommender."""
        router = APIRouter(tags=["Recommendations"])
        reader = self._reader

        @router.get(f"{PREFIX}/{{path:path}}", operation_id="pass_recommendations")
        @router.get(f"{BACKEND}/{{path:path}}", operation_id="pass_backend_similar_items")
        async def recommendations(
            request: Request,
            path: str,  # noqa: ARG001 - read from the request as it was sent; a parameter for the document
            principal: Principal = reader,
        ) -> Response:
            """Return the recommender's answer, as if the request had been sent to it."""
            return await self._forward(request, principal)

        @router.get(BACKEND, operation_id="pass_backend_recommendations")
        async def backend_recommendations(request: Request, principal: Principal = reader) -> Response:
            """Return the recommender's answer, as if the request had been sent to it."""
            return await self._forward(request, principal)

        return router

    async def _forward(self, request: Request, principal: Principal) -> Response:
        accept_any_parameters(request.scope)  # the recommender reports unknown ones
        reply = await _answer(self._upstream, request.scope, principal.own_tenant)
        response = Response(reply.body, reply.status)
        response.raw_headers = _headers(reply)
        return response


class RestFastPath:
    """An ASGI application that answers GET requests with a recently verified key, before `app` does."""

    def __init__(self, app: ASGIApp, upstream: Upstream, authenticator: Authenticator) -> None:
        """Pass all other requests on to `app`."""
        self._app = app
        self._upstream = upstream
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        tenant = self._tenant(scope)
        if tenant is None:
            await self._app(scope, receive, send)
            return
        try:
            reply = await _answer(self._upstream, scope, tenant)
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply)})
        await send({"type": "http.response.body", "body": reply.body})

    def _tenant(self, scope: Scope) -> str | None:
        """Return the tenant of a simple request; None for one that the application has to handle."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(_PREFIXES):
            return None
        principal = self._authenticator.known(scope)
        if principal is None or principal.tenant is None or not self._authenticator.admits(principal, "read"):
            return None
        return principal.tenant


async def _answer(upstream: Upstream, scope: Scope, tenant: str) -> Reply:
    raw_path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    query = scope["query_string"]
    target = b"%b?%b" % (raw_path, query) if query else raw_path
    return await upstream.call(tenant, "GET", target.decode("latin-1"))


def _headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    return [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
