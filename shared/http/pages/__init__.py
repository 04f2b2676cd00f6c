"""The page at /docs: the operations of a service from its OpenAPI document, with a form for each.

The page loads nothing from other hosts, so it works without internet access. It is at /docs/<service>, too:
the gateway has one such path for each service.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
from fastapi import APIRouter, Response

from shared.http.pages.html import page

if TYPE_CHECKING:
    from fastapi import FastAPI

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: the page may load from, and connect to, this service alone."""

_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def api_pages(app: FastAPI, service: str) -> APIRouter:
    """Return the routes of the page, which is built on the first request."""
    router = APIRouter(include_in_schema=False)

    @cache
    def built(folder: str, document: str) -> bytes:
        return page(app.openapi(), folder, document).encode()

    @router.get("/docs")
    async def docs() -> Response:
        return Response(built("docs/", "openapi.json"), headers=_HEADERS, media_type="text/html")

    @router.get(f"/docs/{service}")
    async def named_docs() -> Response:
        body = built("", f"{service}/openapi.json")
        return Response(body, headers=_HEADERS, media_type="text/html")

    @router.get(f"/docs/{service}/openapi.json")
    async def document() -> Response:
        return Response(orjson.dumps(app.openapi()), headers=_HEADERS, media_type="application/json")

    @router.get("/docs/page.css")
    async def style() -> Response:
        return Response(_file("page.css"), headers=_HEADERS, media_type="text/css")

    @router.get("/docs/page.js")
    async def script() -> Response:
        return Response(_file("page.js"), headers=_HEADERS, media_type="text/javascript")

    return router


@cache
def _file(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()
