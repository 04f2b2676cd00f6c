"""Data: imports with their rejected rows, events that conflict, and dead letters, which can be replayed."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import quote

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin, Viewer
from services.dashboard.domain.imports import sources
from services.dashboard.pages.site import Page, PageRoutes, get, post

IMPORTS, CONFLICTS, LETTERS = 100, 20, 100
"""Rows of the pages; arbitrary."""

ImportId = Annotated[str, Path(max_length=256)]
LetterId = Annotated[str, Path(max_length=240)]
Named = Annotated[str, Query(max_length=200)]


class DataPages(PageRoutes):
    """The routes of imports and dead letters."""

    @get("/data")
    async def data(self, request: Request, visitor: Viewer) -> Response:
        """Show imports, their sources, and conflicts."""
        imports, conflicts = await asyncio.gather(
            self._services.get(visitor.tenant, "sync", "/v1/imports", limit=IMPORTS),
            self._services.get(visitor.tenant, "tracker", "/v1/conflicts", limit=CONFLICTS),
        )
        rows = imports.get("imports", [])
        return self._site.render(
            request, visitor, "data.html", imports=imports, sources=sources(rows), conflicts=conflicts
        )

    @get("/data/imports/{import_id}")
    async def import_(self, request: Request, import_id: ImportId, visitor: Viewer) -> Response:
        """Show the report of an import."""
        reply = await self._services.get(visitor.tenant, "sync", _path(import_id))
        return self._site.render(request, visitor, "import.html", import_id=import_id, reply=reply)

    @get("/data/imports/{import_id}/rejects")
    async def rejects(
        self, request: Request, import_id: ImportId, visitor: Viewer, rows: Named = "report"
    ) -> Response:
        """Return the rejected rows of an import as a report, or as a file to mend, in CSV."""
        path = f"{_path(import_id)}/rejects"
        reply = await self._services.get(
            visitor.tenant, "sync", path, rows=None if rows == "report" else rows
        )
        if not reply.ok:
            address = f"/data/imports/{quote(import_id, safe='')}"
            return self._site.redirect(request, address, reply.problem or "", "error")
        disposition = reply.headers.get("content-disposition", "attachment")
        return Response(
            str(reply.body),
            headers={"content-disposition": disposition},
            media_type="text/csv; charset=utf-8",
        )

    @get("/data/dead-letters")
    async def dead_letters(
        self, request: Request, visitor: Admin, topic: Named = "", consumer: Named = ""
    ) -> Response:
        """Show the dead letters of all services."""
        reply = await self._services.get(
            visitor.tenant, "engine", "/v1/dead-letters", limit=LETTERS, topic=topic or None,
            consumer=consumer or None,
        )  # fmt: skip
        return self._site.render(
            request, visitor, "dead_letters.html", reply=reply, topic=topic, consumer=consumer
        )

    @get("/data/dead-letters/{letter_id}")
    async def dead_letter(self, request: Request, letter_id: LetterId, visitor: Admin) -> Response:
        """Show a dead letter with its record."""
        path = f"/v1/dead-letters/{quote(letter_id, safe='')}"
        reply = await self._services.get(visitor.tenant, "engine", path)
        return self._site.render(request, visitor, "dead_letter.html", letter_id=letter_id, reply=reply)

    @post("/data/dead-letters/{letter_id}/replay")
    async def replay(self, request: Request, letter_id: LetterId, visitor: Admin) -> Response:
        """Publish the record of a letter again, with the value of the form if it has one."""
        value = visitor.text("value", "")
        mended = {"value": value} if value else None
        segment = quote(letter_id, safe="")
        reply = await self._site.change(
            visitor,
            "replay dead letter",
            letter_id,
            lambda: self._services.call(
                visitor.tenant, "POST", "engine", f"/v1/dead-letters/{segment}/replay", json=mended
            ),
            after=mended,
        )
        address = f"/data/dead-letters/{segment}"
        if not reply.ok:
            return self._site.redirect(request, address, reply.problem or "", "error")
        notice = f"The record is on {reply.get('topic')} again."
        if reply.get("status") == "replayed before":
            notice = "The record was replayed before, so nothing was published."
        return self._site.redirect(request, address, notice)


def _path(import_id: str) -> str:
    return f"/v1/imports/{quote(import_id, safe='')}"


PAGE = Page("data", "Data", "Operate", "viewer", DataPages.routes)
