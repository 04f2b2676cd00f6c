"""Scripts and styles: the dashboard's own, and those of the packages in package-lock.json."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).parents[1] / "static"
PACKAGES = {
    "pico.css": "@picocss/pico/css/pico.min.css",
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
}
"""The files of packages by the name in the page."""

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asset:
    """A file in memory."""

    content: bytes
    media_type: str
    version: str


class Assets:
    """The files that pages load, read once. Pages work without those of packages, but look plain."""

    def __init__(self, root: str, packages: Path) -> None:
        self._root = root
        paths = {path.name: path for path in sorted(STATIC.iterdir()) if path.suffix in _TYPES}
        paths |= {name: packages / path for name, path in PACKAGES.items()}
        self.missing = sorted(name for name, path in paths.items() if not path.is_file())
        self._assets = {name: _read(path) for name, path in paths.items() if path.is_file()}
        if self.missing:
            log.warning("dashboard.assets_missing", files=self.missing, repair="run deploy/local/install")

    def url(self, name: str) -> str:
        """Return the address of a file, which changes with its content."""
        asset = self._assets.get(name)
        version = asset.version if asset else "missing"
        return f"{self._root}/static/{name}?v={version}"

    def router(self) -> APIRouter:
        """Return the route of the files."""
        routes = APIRouter(prefix=self._root, include_in_schema=False)

        @routes.get("/static/{name}")
        async def static(request: Request, name: str) -> Response:
            """Return a file; raises HTTPException 404 if there is none of this name."""
            asset = self._assets.get(name)
            if asset is None:
                raise HTTPException(404, f"There is no file {name}.")
            is_current = request.query_params.get("v") == asset.version
            caching = _FOREVER if is_current else "no-cache"
            return Response(asset.content, 200, {"cache-control": caching}, asset.media_type)

        return routes


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:12])
