"""The page at /docs: what a service answers to, from its OpenAPI document, with a form for each operation.

The page and its two files come from here and ask no other host for anything, so it works without internet.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response

from shared.http.pages.html import page

if TYPE_CHECKING:
    from fastapi import FastAPI

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: a page of this service may load and ask this service alone."""

_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def api_pages(app: FastAPI) -> APIRouter:
    """Return the routes of the page; it is made when it is asked for first."""
    router = APIRouter(include_in_schema=False)

    @cache
    def written() -> bytes:
        return page(app.openapi()).encode()

    @router.get("/docs")
    async def docs() -> Response:
        return Response(written(), headers=_HEADERS, media_type="text/html")

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
