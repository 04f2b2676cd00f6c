"""Schedules: the times at which training runs are due."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin, Viewer, Visitor
from services.dashboard.pages.site import Page, PageRoutes, get, post

KINDS = {
    "full": "full: train, and compute all lists",
    "vip": "vip: renew the lists of the best customers, and add those of new ones",
    "incremental": "incremental: add the lists of new customers and items",
}

OPTIONS = {
    "vip_share": "VIP runs: share of the customers, 0.1 for a tenth",
    "vip_window_days": "VIP runs: days in which their spending counts",
    "max_minutes": "Minutes after which a run is stopped",
}

Name = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,63}$")]


class SchedulePages(PageRoutes):
    """The routes of schedules."""

    @get("/schedules")
    async def schedules(self, request: Request, visitor: Viewer) -> Response:
        """Show all schedules."""
        reply = await self._services.get(visitor.tenant, "trainer", "/v1/schedules")
        return self._site.render(
            request, visitor, "schedules.html", reply=reply, kinds=KINDS, options=OPTIONS
        )

    @post("/schedules")
    async def put(self, request: Request, visitor: Admin) -> Response:
        """Add a schedule, or change the one of that name."""
        name = visitor.text("name").strip()
        definition = {
            "cron": visitor.text("cron").strip(),
            "timezone": visitor.text("timezone").strip() or "UTC",
            "kind": visitor.text("kind") or "full",
            **{name: number for name in OPTIONS if (number := visitor.text(name).strip())},
            "enabled": visitor.text("enabled") == "yes",
        }
        return await self._change(request, visitor, "change schedule", name, "PUT", definition)

    @post("/schedules/{name}/delete")
    async def delete(self, request: Request, name: Name, visitor: Admin) -> Response:
        """Delete a schedule."""
        return await self._change(request, visitor, "delete schedule", name, "DELETE", None)

    async def _change(
        self,
        request: Request,
        visitor: Visitor,
        action: str,
        name: str,
        method: str,
        definition: dict[str, Any] | None,
    ) -> Response:
        listed = await self._services.get(visitor.tenant, "trainer", "/v1/schedules")
        before = next((each for each in listed.get("schedules", []) if each["name"] == name), None)
        path = f"/v1/schedules/{quote(name, safe='')}"
        reply = await self._site.change(
            visitor,
            action,
            name,
            lambda: self._services.call(visitor.tenant, method, "trainer", path, json=definition),
            before=before,
            after=definition,
        )
        if not reply.ok:
            return self._site.redirect(request, "/schedules", reply.problem or "", "error")
        done = "deleted" if definition is None else "stored"
        return self._site.redirect(request, "/schedules", f"The schedule {name} is {done}.")


PAGE = Page("schedules", "Schedules", "Learn", "viewer", SchedulePages.routes)
