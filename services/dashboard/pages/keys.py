"""Keys: the API keys of the tenant. A key itself is shown once, on the page that answers its creation."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin, Visitor
from services.dashboard.domain.key_forms import KINDS, LIFETIMES, new_key, state_of
from services.dashboard.pages.site import Page, PageRoutes, get, post

Id = Annotated[str, Path(max_length=64)]


class KeyPages(PageRoutes):
    """The routes of keys."""

    @get("/keys")
    async def keys(self, request: Request, visitor: Admin) -> Response:
        """Show all keys."""
        return await self._show(request, visitor)

    @post("/keys")
    async def create(self, request: Request, visitor: Admin) -> Response:
        """Create a key."""
        new = new_key(visitor.text)
        return await self._issue(request, visitor, "create key", new["label"] or new["kind"], "", new)

    @post("/keys/{id}/rotate")
    async def rotate(self, request: Request, id: Id, visitor: Admin) -> Response:  # noqa: A002
        """Create the successor of a key."""
        return await self._issue(request, visitor, "rotate key", id, f"/{quote(id, safe='')}/rotate", {})

    @post("/keys/{id}/revoke")
    async def revoke(self, request: Request, id: Id, visitor: Admin) -> Response:  # noqa: A002
        """End a key."""
        listed = await self._services.get(visitor.tenant, "engine", "/v1/keys")
        before = next((key for key in listed.get("keys", []) if key["id"] == id), None)
        path = f"/v1/keys/{quote(id, safe='')}"
        reply = await self._site.change(
            visitor,
            "revoke key",
            id,
            lambda: self._services.call(visitor.tenant, "DELETE", "engine", path),
            before=before,
        )
        if not reply.ok:
            return self._site.redirect(request, "/keys", reply.problem or "", "error")
        return self._site.redirect(
            request, "/keys", f"The key {id} is revoked. Processes accept it for up to a minute."
        )

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


PAGE = Page("keys", "Keys", "Operate", "admin", KeyPages.routes)
