"""Proxied requests: the recommender's REST routes, and a fast path for simple ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request, Response

from services.router.store.upstream_connection import Reply
from shared.auth import Authenticator, Principal
from shared.auth import Scope as CallerScope
from shared.errors import ApiError
from shared.events.placements import Placement
from shared.experiments import BACKEND, PREFIX
from shared.http import SMALL_BODY_BYTES, accept_any_parameters
from shared.http.devices import HEADER, device_of
from shared.http.request_bodies import documented, read_body
from shared.http.runtime import error_response

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from starlette.types import Scope

    from services.router.store.upstream import Upstream

PREVIEW = "/v1/placements/{name}/preview"

_FOR_READERS = (
    f"{PREFIX}/status",
    f"{PREFIX}/recommendations/by-location",
    f"{PREFIX}/recommendations/by-segment",
)
_DIRECT_PREFIXES = (f"{PREFIX}/".encode(), f"{BACKEND}/".encode(), f"{BACKEND}?".encode())


class ProxyRoutes:
    """The routes, for the OpenAPI document and for requests that the fast path does not handle."""

    def __init__(self, upstream: Upstream, previews: Upstream, authenticator: Authenticator) -> None:
        """Pass requests on by `upstream`; by `previews`, which waits longer, those for previews."""
        self._upstream = upstream
        self._previews = previews
        self._caller = Depends(authenticator.require("recommend"))
        self._editor = Depends(authenticator.require("admin", "placements"))

    def router(self) -> APIRouter:
        """Return the routes of the two prefixes of the recommender, and that of previews."""
        router = APIRouter(tags=["Recommendations"])
        caller = self._caller

        @router.get(f"{PREFIX}/{{path:path}}", operation_id="pass_recommendations")
        @router.get(f"{BACKEND}/{{path:path}}", operation_id="pass_backend_similar_items")
        async def recommendations(
            request: Request,
            path: str,  # noqa: ARG001 - read from the request as it was sent; a parameter for the document
            principal: Principal = caller,
        ) -> Response:
            """Return the recommender's answer, as if the request had been sent to it."""
            principal.may(scope_of(request.scope["path"]))
            return await self._forward(request, principal)

        @router.get(BACKEND, operation_id="pass_backend_recommendations")
        async def backend_recommendations(request: Request, principal: Principal = caller) -> Response:
            """Return the recommender's answer, as if the request had been sent to it."""
            return await self._forward(request, principal)

        @router.post(PREVIEW, operation_id="pass_placement_preview", openapi_extra=documented(Placement))
        async def placement_preview(
            request: Request,
            name: str,  # noqa: ARG001 - read from the request as it was sent; a parameter for the document
            principal: Principal = self._editor,
        ) -> Response:
            """Return the recommender's answer: what a changed placement would change."""
            accept_any_parameters(request.scope)
            body = await read_body(request, SMALL_BODY_BYTES)
            reply = await self._previews.call(
                principal.own_tenant,
                "POST",
                _target(request.scope),
                body,
                {"content-type": "application/json"},
            )
            return _response(reply)

        return router

    async def _forward(self, request: Request, principal: Principal) -> Response:
        accept_any_parameters(request.scope)  # the recommender reports unknown ones
        headers = device_header(request.scope)
        target = _target(request.scope)
        return _response(await self._upstream.call(principal.own_tenant, "GET", target, b"", headers))


class RestFastPath:
    """Simple requests: a GET with a recently verified key, sent on without FastAPI and ASGI."""

    def __init__(self, upstream: Upstream, authenticator: Authenticator) -> None:
        self._upstream = upstream
        self._authenticator = authenticator

    def direct(
        self, url: bytes, headers: Mapping[bytes, bytes], head: bytes
    ) -> Coroutine[Any, Any, bytes] | None:
        """Return the answer of a request as `shared.http.direct` sends it; None for one to be passed on.

        The recommender answers a request that names a strategy by a model, which may take longer: it gets a
        connection of its own, from the application.
        """
        if not url.startswith(_DIRECT_PREFIXES) or b"#" in url or b"strategy" in url:
            return None
        principal = self._authenticator.known_key(headers)
        if principal is None or principal.tenant is None or not principal.has(scope_of(_decoded(url))):
            return None
        if not self._authenticator.admits(principal, "recommend"):
            return None
        return self._answer(principal.tenant, url, head, device_of(headers))

    async def _answer(self, tenant: str, url: bytes, head: bytes, device: str | None) -> bytes:
        try:
            return await self._upstream.get(tenant, url, head, device)
        except ApiError as error:
            response = error_response(error)
            headers = [header for header in response.raw_headers if header[0] != b"content-length"]
            return Reply(response.status_code, headers, bytes(response.body)).message(head)


def device_header(scope: Scope) -> dict[str, str]:
    """Return the header that tells the recommender the device of a request; none for a program."""
    device = device_of(dict(scope["headers"]))
    return {} if device is None else {HEADER.decode(): device}


def scope_of(path: str) -> CallerScope:
    """Return the scope that the recommender wants for a decoded path of its REST API.

    Lists of a visitor or an item are for pages; customers of a place or a segment, and the state, are not.
    """
    return "read" if path.startswith(_FOR_READERS) else "recommend"


def _decoded(url: bytes) -> str:
    path = url.partition(b"?")[0].decode("latin-1")
    return unquote(path) if "%" in path else path


def _target(scope: Scope) -> bytes:
    path: bytes = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    query: bytes = scope["query_string"]
    return b"%b?%b" % (path, query) if query else path


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    response.raw_headers = _headers(reply)
    return response


def _headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    return [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
