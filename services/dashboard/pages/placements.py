"""Placements: what the shop recommends at each place, with rules that are previewed before they are saved."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Merchandiser, PageError, Viewer, Visitor
from services.dashboard.domain.differences import differences
from services.dashboard.domain.placement_drafts import (
    NEW,
    STRATEGIES,
    Definition,
    InvalidDraft,
    edited,
    item_ids,
    parse,
    shown,
)
from services.dashboard.pages.site import Page, PageRoutes, get, post
from services.dashboard.store.item_names import item_ids_of, item_names
from services.dashboard.store.services import Reply

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
VISITOR_FIELDS = ("user_id", "item_id", "cart", "category")
"""The fields of a preview that name a request; without any, recent requests are repeated."""

ITEM_FIELDS = {"pin_item": "", "hide_items": ","}
"""The fields of rules that name items, and what separates several items."""

_NOT_FOUND, _OTHER_REVISION = 404, 412
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A definition that is being edited, and the ETag of the revision that it began with."""

    text: str
    etag: str
    problem: str | None = None
    preview: Reply | None = None
    conflict: Reply | None = None


class PlacementPages(PageRoutes):
    """The routes of placements."""

    @get("/placements")
    async def placements(self, request: Request, visitor: Viewer) -> Response:
        """Show all placements."""
        listed = await self._services.get(visitor.tenant, "engine", "/v1/placements")
        return self._site.render(request, visitor, "placements.html", listed=listed)

    @post("/placements")
    async def new(self, request: Request, visitor: Merchandiser) -> Response:
        """Lead to the page of a placement that does not exist yet."""
        name = visitor.text("name").lower()
        if not _NAME.fullmatch(name):
            notice = "A name has at most 63 lower-case letters, digits and hyphens, such as home-hero."
            return self._site.redirect(request, "/placements", notice, "error")
        return self._site.redirect(request, f"/placements/{name}")

    @get("/placements/{name}")
    async def placement(self, request: Request, name: Name, visitor: Viewer) -> Response:
        """Show a placement with its answer now."""
        stored = await self._stored(visitor, name)
        definition = stored.get("placement", NEW)
        return await self._editor(request, visitor, name, stored, Draft(shown(definition), _etag(stored)))

    @post("/placements/{name}/draft")
    async def draft(self, request: Request, name: Name, visitor: Merchandiser) -> Response:
        """Apply an edit to the draft, and preview it."""
        text, edit = visitor.text("definition"), visitor.text("do", "preview")
        fields = await self._fields(visitor)
        try:
            definition = parse(text)
            if edit != "preview":
                definition = edited(definition, edit, fields)
        except InvalidDraft as error:
            stored = await self._stored(visitor, name)
            draft = Draft(text, visitor.text("etag"), problem=str(error))
            return await self._editor(request, visitor, name, stored, draft, 400)
        stored, preview = await asyncio.gather(
            self._stored(visitor, name), self._preview(visitor, name, definition)
        )
        draft = Draft(shown(definition), visitor.text("etag"), preview=preview)
        return await self._editor(request, visitor, name, stored, draft)

    @post("/placements/{name}")
    async def save(self, request: Request, name: Name, visitor: Merchandiser) -> Response:
        """Save the draft, unless somebody else saved another one meanwhile."""
        text, etag = visitor.text("definition"), visitor.text("etag")
        stored = await self._stored(visitor, name)
        try:
            definition = parse(text)
        except InvalidDraft as error:
            return await self._editor(request, visitor, name, stored, Draft(text, etag, str(error)), 400)
        before = stored.get("placement") if stored.get("status") == "defined" else None
        reply = await self._site.change(
            visitor,
            "save placement",
            name,
            lambda: self._put(visitor, name, definition, etag),
            before=before,
            after=definition,
        )
        if reply.ok:
            notice = (
                f"{name} is saved as revision {reply.get('revision')}; storefronts show it within a second."
            )
            return self._site.redirect(request, f"/placements/{name}", notice)
        if reply.status == _OTHER_REVISION:
            latest = await self._stored(visitor, name)
            draft = Draft(text, _etag(latest), conflict=latest)
            return await self._editor(request, visitor, name, latest, draft, 409)
        draft = Draft(text, etag, reply.problem)
        return await self._editor(request, visitor, name, stored, draft, 400 if reply.status else 503)

    @post("/placements/{name}/delete")
    async def delete(self, request: Request, name: Name, visitor: Merchandiser) -> Response:
        """Delete the definition; a default of the same name takes its place.

        Raise PageError 404 if there is none.
        """
        stored = await self._stored(visitor, name)
        if stored.status == _NOT_FOUND:
            raise PageError(404, "UnknownPlacement", f"There is no placement {name}.")
        path, headers = f"/v1/placements/{name}", {"if-match": visitor.text("etag")}
        reply = await self._site.change(
            visitor,
            "delete placement",
            name,
            lambda: self._services.call(visitor.tenant, "DELETE", "engine", path, headers=headers),
            before=stored.get("placement"),
        )
        if reply.ok:
            return self._site.redirect(request, "/placements", f"{name} is deleted.")
        return self._site.redirect(request, f"/placements/{name}", reply.problem or "", "error")

    async def _fields(self, visitor: Visitor) -> dict[str, str]:
        """Return the fields of the form, with ids for the names of items."""
        fields = {field: value for field, value in visitor.form.items() if isinstance(value, str)}
        for field, separator in ITEM_FIELDS.items():
            value = fields.get(field, "")
            typed = value.split(separator) if separator else [value]
            fields[field] = ", ".join(await item_ids_of(self._services, visitor.tenant, typed))
        return fields

    async def _stored(self, visitor: Visitor, name: str) -> Reply:
        return await self._services.get(visitor.tenant, "engine", f"/v1/placements/{name}")

    async def _editor(
        self, request: Request, visitor: Visitor, name: str, stored: Reply, draft: Draft, status: int = 200
    ) -> Response:
        """Return the page of a placement: its draft, the preview, and the answer that visitors get now."""
        now = await self._services.get(
            visitor.tenant, "recommender", f"/v1/placements/{name}/explanation",
            user_id=visitor.text("user_id"), item_id=visitor.text("item_id"),
        )  # fmt: skip
        try:
            definition: Definition = parse(draft.text)
        except InvalidDraft:
            definition = {}
        named = [*item_ids(definition), *_previewed(draft.preview)]
        return self._site.render(
            request,
            visitor,
            "placement.html",
            status,
            names=await item_names(self._services, visitor.tenant, named),
            name=name,
            stored=stored,
            is_new=stored.status == _NOT_FOUND,
            draft=draft,
            definition=definition,
            rules=definition.get("rules") or {},
            changes=differences(parse(shown(stored.get("placement", {}))), definition) if definition else [],
            strategies=STRATEGIES,
            answer=now,
            fields={field: visitor.text(field) for field in VISITOR_FIELDS},
        )

    async def _preview(self, visitor: Visitor, name: str, definition: Definition) -> Reply:
        named = {field: visitor.text(field) for field in VISITOR_FIELDS if visitor.text(field)}
        return await self._services.call(
            visitor.tenant,
            "POST",
            "recommender",
            f"/v1/placements/{name}/preview",
            json=definition,
            params=named,
        )

    async def _put(self, visitor: Visitor, name: str, definition: Any, etag: str) -> Reply:
        path, headers = f"/v1/placements/{name}", {"if-match": etag}
        return await self._services.call(
            visitor.tenant, "PUT", "engine", path, json=definition, headers=headers
        )


def _previewed(preview: Reply | None) -> list[str]:
    """Return the ids of the items in the answers of a preview."""
    answers = preview.get("answers", []) if preview else []
    return [item_id for answer in answers for item_id in answer["product_ids"]]


def _etag(stored: Reply) -> str:
    """Return the ETag for If-Match; that of revision 0 for a placement that does not exist."""
    return stored.headers.get("etag", '"0"')


PAGE = Page("placements", "Placements", "Shop", "viewer", PlacementPages.routes)
