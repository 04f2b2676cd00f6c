"""Keys: the API keys of the tenant. A key itself is shown once, on the page that answers its creation."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Visitor
from services.dashboard.domain.key_forms import KINDS, LIFETIMES, new_key, state_of
from services.dashboard.pages.site import Page, Site

Id = Annotated[str, Path(max_length=64)]


class KeyPages:
    """The routes of keys."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._services = site.services

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = self._site.router()
        admin = Depends(self._site.guard.require("admin"))

        @routes.get("/keys")
        async def keys(request: Request, visitor: Visitor = admin) -> Response:
            return await self._show(request, visitor)

        @routes.post("/keys")
        async def create(request: Request, visitor: Visitor = admin) -> Response:
            new = new_key(visitor.text)
            return await self._issue(request, visitor, "create key", new["label"] or new["kind"], "", new)

        @routes.post("/keys/{id}/rotate")
        async def rotate(request: Request, id: Id, visitor: Visitor = admin) -> Response:  # noqa: A002
            return await self._issue(request, visitor, "rotate key", id, f"/{quote(id, safe='')}/rotate", {})

        @routes.post("/keys/{id}/revoke")
        async def revoke(request: Request, id: Id, visitor: Visitor = admin) -> Response:  # noqa: A002
            return await self._revoke(request, visitor, id)

        return routes

    async def _show(self, request: Request, visitor: Visitor, created: Any = None) -> Response:
        """Show all keys, and a new one with its secret."""
        reply = await self._services.get(visitor.tenant, "engine", "/v1/keys")
        rows = [{**key, "state": state_of(key)} for key in reply.get("keys", [])]
        return self._site.render(
            request, visitor, "keys.html", reply=reply, rows=rows, created=created, kinds=KINDS,
            lifetimes=LIFETIMES,
        )  # fmt: skip

    async def _issue(
        self, request: Request, visitor: Visitor, action: str, target: str, path: str, body: dict[str, Any]
    ) -> Response:
        """Create a key or its successor, and show it; the audit log gets its purpose, never the key."""
        reply = await self._site.change(
            visitor,
            action,
            target,
            lambda: self._services.call(visitor.tenant, "POST", "engine", f"/v1/keys{path}", json=body),
            after=body or None,
        )
        if not reply.ok:
            return self._site.redirect(request, "/keys", reply.problem or "", "error")
        return await self._show(request, visitor, reply.body)

    async def _revoke(self, request: Request, visitor: Visitor, identifier: str) -> Response:
        listed = await self._services.get(visitor.tenant, "engine", "/v1/keys")
        before = next((key for key in listed.get("keys", []) if key["id"] == identifier), None)
        path = f"/v1/keys/{quote(identifier, safe='')}"
        reply = await self._site.change(
            visitor,
            "revoke key",
            identifier,
            lambda: self._services.call(visitor.tenant, "DELETE", "engine", path),
            before=before,
        )
        if not reply.ok:
            return self._site.redirect(request, "/keys", reply.problem or "", "error")
        return self._site.redirect(
            request, "/keys", f"The key {identifier} is revoked. Processes accept it for up to a minute."
        )


def routes(site: Site) -> APIRouter:
    """Return the routes of the page."""
    return KeyPages(site).router()


PAGE = Page("keys", "Keys", "Operate", "admin", routes)
