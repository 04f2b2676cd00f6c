"""A web site for tests of pages: HTML by path on an origin of its own, with the built kit at `/kit.js`."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

KIT = ROOT / "examples" / "storefront" / "dist"

_PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="4"/></svg>'


@dataclass
class Site:
    """A running site; tests put the pages that they need, or a folder with the files of a built page."""

    url: str
    pages: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def put(self, path: str, body: str, head: str = "") -> str:
        """Serve an HTML document at a path, and return its address."""
        self.pages[path] = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>'
            '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
            f"{head}</head><body>{body}</body></html>"
        )
        return self.url + path


def build_kit() -> Path:
    """Return the folder of the built storefront kit, as `deploy/local/install` makes it."""
    program = str(ROOT / "deploy" / "local" / "install-node")
    subprocess.run([program], cwd=ROOT, check=True, timeout=PATIENCE, capture_output=True)
    return KIT


@asynccontextmanager
async def serving_site() -> AsyncIterator[Site]:
    """Yield a site on a free port of this machine."""
    site, kit = Site(""), build_kit()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/kit.js":
            return web.FileResponse(kit / "kit.js")
        if request.path == "/picture.svg":
            return web.Response(text=_PICTURE, content_type="image/svg+xml")
        if request.path in site.pages:
            return web.Response(text=site.pages[request.path], content_type="text/html")
        if site.folder is not None and (file := site.folder / request.path.lstrip("/")).is_file():
            return web.FileResponse(file)
        return web.Response(status=404, text="There is no such page.")

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, "127.0.0.1", 0)
        await listener.start()
        assert runner.addresses
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield site
    finally:
        await runner.cleanup()
