"""Sources: programs that send or are asked, their runs, and deliveries that wait for a person."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import quote

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin
from services.dashboard.pages.site import Page, PageRoutes, get, post

DELIVERIES = 50
"""Rows of each list of deliveries; arbitrary."""

SourceName = Annotated[str, Path(max_length=64)]
Number = Annotated[int, Path(ge=1)]


class SourcePages(PageRoutes):
    """The routes of sources and their deliveries."""

    @get("/sources")
    async def sources(self, request: Request, visitor: Admin) -> Response:
        """Show all sources."""
        reply = await self._services.get(visitor.tenant, "sync", "/v1/sources")
        return self._site.render(request, visitor, "sources.html", reply=reply)

    @get("/sources/{name}")
    async def source(self, request: Request, name: SourceName, visitor: Admin) -> Response:
        """Show a source with its newest deliveries, and those that failed."""
        path = _path(name)
        reply, failed, newest = await asyncio.gather(
            self._services.get(visitor.tenant, "sync", path),
            self._services.get(
                visitor.tenant, "sync", f"{path}/deliveries", status="failed", limit=DELIVERIES
            ),
            self._services.get(visitor.tenant, "sync", f"{path}/deliveries", limit=DELIVERIES),
        )
        return self._site.render(
            request, visitor, "source.html", name=name, reply=reply, failed=failed, newest=newest
        )

    @get("/sources/{name}/deliveries/{seq}")
    async def delivery(self, request: Request, name: SourceName, seq: Number, visitor: Admin) -> Response:
        """Show a delivery with its body."""
        reply = await self._services.get(visitor.tenant, "sync", f"{_path(name)}/deliveries/{seq}")
        return self._site.render(request, visitor, "delivery.html", name=name, seq=seq, reply=reply)

    @post("/sources/{name}/run")
    async def run(self, request: Request, name: SourceName, visitor: Admin) -> Response:
        """Let a source be asked now."""
        body = {"full": visitor.text("full") == "yes"}
        reply = await self._site.change(
            visitor,
            "run source",
            name,
            lambda: self._services.call(visitor.tenant, "POST", "sync", f"{_path(name)}/run", json=body),
        )
        notice = f"{name} is asked as soon as a worker is free."
        return self._done(request, f"/sources/{quote(name, safe='')}", reply.problem, notice)

    @post("/sources/{name}/deliveries/{seq}/replay")
    async def replay(self, request: Request, name: SourceName, seq: Number, visitor: Admin) -> Response:
        """Merge a delivery again."""
        path = f"{_path(name)}/deliveries/{seq}/replay"
        reply = await self._site.change(
            visitor,
            "replay delivery",
            f"{name} {seq}",
            lambda: self._services.call(visitor.tenant, "POST", "sync", path, json={}),
        )
        address = f"/sources/{quote(name, safe='')}/deliveries/{seq}"
        return self._done(request, address, reply.problem, "The delivery is merged again.")

    def _done(self, request: Request, address: str, problem: str | None, notice: str) -> Response:
        if problem:
            return self._site.redirect(request, address, problem, "error")
        return self._site.redirect(request, address, notice)


def _path(name: str) -> str:
    return f"/v1/sources/{quote(name, safe='')}"


PAGE = Page("sources", "Sources", "Operate", "admin", SourcePages.routes)
