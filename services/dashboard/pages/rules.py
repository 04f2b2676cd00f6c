"""Rules of intake: the shop's own event types, and which events are kept out of personalization."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin
from services.dashboard.domain.rule_forms import LISTS, as_fields, as_rules
from services.dashboard.pages.site import Page, PageRoutes, get, post

PATH = "/v1/intake-rules"


class RulePages(PageRoutes):
    """The routes of the rules."""

    @get("/rules")
    async def rules(self, request: Request, visitor: Admin) -> Response:
        """Show the rules as a form."""
        reply = await self._services.get(visitor.tenant, "tracker", PATH)
        return self._site.render(
            request, visitor, "rules.html", reply=reply, fields=as_fields(reply.body if reply.ok else {}),
            lists=LISTS,
        )  # fmt: skip

    @post("/rules")
    async def save(self, request: Request, visitor: Admin) -> Response:
        """Replace the rules."""
        before = await self._services.get(visitor.tenant, "tracker", PATH)
        rules = as_rules(visitor.text)
        reply = await self._site.change(
            visitor,
            "change intake rules",
            "",
            lambda: self._services.call(visitor.tenant, "PUT", "tracker", PATH, json=rules),
            before=before.body if before.ok else None,
            after=rules,
        )
        if not reply.ok:
            return self._site.redirect(request, "/rules", reply.problem or "", "error")
        return self._site.redirect(
            request, "/rules", "The rules hold for events that arrive within a minute."
        )


PAGE = Page("rules", "Intake rules", "Operate", "admin", RulePages.routes)
