"""Audit log: who changed what with the dashboard."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin
from services.dashboard.domain.differences import differences
from services.dashboard.pages.site import Page, Site

ROWS = 50


def routes(site: Site) -> APIRouter:
    """Return the routes of the page."""
    pages = site.router()

    @pages.get("/audit")
    async def audit(
        request: Request,
        visitor: Admin,
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    ) -> Response:
        entries = await site.audit_log.entries(visitor.tenant, ROWS + 1, before)
        shown = [
            {**entry, "changes": differences(entry["before"], entry["after"])} for entry in entries[:ROWS]
        ]
        more = shown[-1]["id"] if len(entries) > ROWS else None
        return site.render(request, visitor, "audit.html", entries=shown, more=more, before=before)

    return pages


PAGE = Page("audit", "Audit log", "Operate", "admin", routes)
