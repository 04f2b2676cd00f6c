"""Requests of front ends that ask for a variant, passed on to the recommender: a body with a `user_id`."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any, Final

import orjson

from services.router.api.proxy import device_header
from shared.aws_server.operations import Answer
from shared.errors import ApiError
from shared.http.request_bodies import members_with

if TYPE_CHECKING:
    from starlette.types import Scope

    from services.router.store.upstream import Upstream
    from shared.auth import Authenticator
    from shared.http.raw_routes import RawRoutes

PATHS: Final = frozenset({"/", "/recommendations"})
_JSON: Final = [(b"content-type", b"application/json")]


class FrontEnds:
    """Passes these requests on, and all others to the operations of Amazon Personalize's runtime."""

    def __init__(self, runtime: RawRoutes, upstream: Upstream, authenticator: Authenticator) -> None:
        self._runtime = runtime
        self._upstream = upstream
        self._authenticator = authenticator

    @property
    def paths(self) -> Container[str]:
        """Return the paths that are answered."""
        return _Paths(self._runtime.paths)

    async def answer(self, scope: Scope, body: bytes) -> Any:
        """Answer a raw ASGI request with the recommender's answer."""
        path: str = scope["path"]
        is_for_front_end = path in PATHS and members_with(body, "user_id") is not None
        if path in self._runtime.paths and not is_for_front_end:
            return await self._runtime.answer(scope, body)
        try:
            principal = await self._authenticator.of_scope(scope, body)
            tenant = principal.may("recommend").own_tenant
            headers = {"content-type": "application/json", **device_header(scope)}
            reply = await self._upstream.call(tenant, "POST", path.encode(), body, headers)
        except ApiError as error:
            return Answer(error.status, _JSON, orjson.dumps({"error": error.detail}))
        return Answer(reply.status, reply.headers, reply.body)


class _Paths(Container[str]):
    def __init__(self, runtime: Container[str]) -> None:
        self._runtime = runtime

    def __contains__(self, path: object) -> bool:
        return path in PATHS or path in self._runtime
