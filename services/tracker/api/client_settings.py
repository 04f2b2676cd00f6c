"""Settings that the browser SDKs of Segment and RudderStack load before they send anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request, Response

from shared.auth import Authenticator, AuthError
from shared.http import accept_any_parameters

if TYPE_CHECKING:
    from starlette.types import Scope

_CACHED: Final = {"cache-control": "private, max-age=300"}
"""Browsers ask once in five minutes; arbitrary."""
_CREDENTIALS: Final = frozenset({b"x-api-key", b"authorization"})
_PUBLIC: Final = frozenset({"ingest", "recommend"})


def client_settings_routes(authenticator: Authenticator) -> APIRouter:
    """Return the routes with settings of clients."""
    router = APIRouter()

    @router.get(
        "/v1/projects/{key}/settings",
        operation_id="segmentSettings",
        summary="Settings of Segment's analytics.js",
        tags=["Segment"],
        response_class=Response,
    )
    async def segment_settings(key: str, request: Request) -> Response:
        """Return where analytics.js sends events: here. Its `cdnURL` is the address of Endcap."""
        await _check_key(authenticator, request, key)
        scheme, host = _address(request.scope)
        segment = {"apiKey": key, "apiHost": f"{host}/v1", "protocol": scheme}
        plan = {"track": {"__default": {"enabled": True, "integrations": {}}}}
        return _json({"integrations": {"Segment.io": segment}, "plan": plan, "edgeFunction": {}})

    @router.get(
        "/sourceConfig",
        operation_id="rudderstackSettings",
        summary="Settings of RudderStack's browser SDK",
        tags=["RudderStack"],
        response_class=Response,
    )
    @router.get("/sourceConfig/", include_in_schema=False)
    async def rudderstack_settings(
        request: Request, write_key: Annotated[str, Query(alias="writeKey", description="the key")] = ""
    ) -> Response:
        """Return a source without destinations: the SDK loads no scripts of others, and sends here."""
        accept_any_parameters(request.scope)
        await _check_key(authenticator, request, write_key)
        scheme, host = _address(request.scope)
        source = {
            "id": "endcap",
            "name": "Endcap",
            "writeKey": write_key,
            "enabled": True,
            "workspaceId": "endcap",
            "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
            "destinations": [],
            "dataplanes": {},
            "dataplaneUrl": f"{scheme}://{host}",
        }
        return _json({"source": source, "updatedAt": "2026-01-01T00:00:00.000Z"})

    return router


async def _check_key(authenticator: Authenticator, request: Request, key: str) -> None:
    """Check that the caller may send events, by the credentials in the headers, else by `key`.

    Raises AuthError.
    """
    scope = request.scope
    is_in_address = bool(key) and not any(name in _CREDENTIALS for name, _ in scope["headers"])
    caller = authenticator.known(scope)
    if caller is None:
        if is_in_address:
            scope["headers"] = [*scope["headers"], (b"x-api-key", key.encode(errors="replace"))]
        caller = await authenticator.of_scope(scope)
    caller.may("ingest")
    if is_in_address and caller.kind == "key" and not caller.scopes <= _PUBLIC:
        detail = "Only the key of a page may be in an address, which logs contain."
        raise AuthError(403, "KeyInAddress", detail, aws_code="AccessDeniedException")


def _address(scope: Scope) -> tuple[str, str]:
    """Return the scheme and the host by which the client reached Endcap, through a gateway or directly."""
    headers = dict(scope["headers"])
    scheme = headers.get(b"x-forwarded-proto", scope["scheme"].encode())
    host = headers.get(b"x-forwarded-host") or headers.get(b"host", b"")
    return "https" if scheme == b"https" else "http", host.decode("latin-1")


def _json(document: Any) -> Response:
    return Response(orjson.dumps(document), 200, _CACHED, "application/json")
