"""Items: what an item is, what is similar, where it is shown, and why it is not shown elsewhere."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Query
from fastapi.routing import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Viewer, Visitor
from services.dashboard.domain.appearances import appearance, rules_of
from services.dashboard.pages.customers import Customers
from services.dashboard.pages.site import Page, Site
from services.dashboard.store.services import Reply

ITEMS = 50
"""Rows of a list; arbitrary."""

Id = Annotated[str, Query(max_length=256)]


def routes(site: Site) -> APIRouter:
    """Return the routes of the page."""
    pages, customers = site.router(), Customers(site)

    @pages.get("/items")
    async def item(
        request: Request,
        visitor: Viewer,
        item_id: Annotated[str, Query(alias="id", max_length=256)] = "",
        user_id: Id = "",
        search: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        item_id, user_id, search = item_id.strip(), user_id.strip(), search.strip()
        if not item_id:
            exact, reply = await _find(site, visitor.tenant, search)
            if exact:
                return site.redirect(request, f"/items?{urlencode({'id': search})}")
            return site.render(request, visitor, "items.html", search=search, reply=reply)
        values = await _read(site, customers, visitor, item_id, user_id)
        return site.render(request, visitor, "item.html", item_id=item_id, user_id=user_id, **values)

    @pages.get("/items/options")
    async def options(
        request: Request, visitor: Viewer, search: Annotated[str, Query(max_length=200)] = ""
    ) -> Response:
        _, reply = await _find(site, visitor.tenant, search.strip())
        return site.render(request, visitor, "item_options.html", reply=reply)

    return pages


async def _find(site: Site, tenant: str, search: str) -> tuple[bool, Reply]:
    """Return whether an item has this id, and the items with the words; the newest ones without words."""
    if not search:
        return False, await site.services.get(tenant, "sync", "/v1/items", sort="newest", limit=ITEMS)
    exact, reply = await asyncio.gather(
        site.services.get(tenant, "sync", "/v1/items", id=search, limit=1),
        site.services.get(tenant, "sync", "/v1/items", search=search, sort="name", limit=ITEMS),
    )
    return bool(exact.get("items")), reply


async def _read(
    site: Site, customers: Customers, visitor: Visitor, item_id: str, user_id: str
) -> dict[str, Any]:
    """Return the item, what is similar, and its appearance in each placement."""
    tenant, segment = visitor.tenant, quote(item_id, safe="")
    item, similar, (listed, names) = await asyncio.gather(
        site.services.get(tenant, "sync", f"/v1/items/{segment}"),
        site.services.get(tenant, "recommender", f"/api/v1/personalize/similar-items/{segment}", limit=12),
        customers.placements(tenant),
    )
    answers = await customers.answers(tenant, names, user_id=user_id)
    definitions = {entry["name"]: entry["placement"] for entry in listed.get("placements", [])}
    return {
        "item": item,
        "similar": similar,
        "listed": listed,
        "appearances": {
            name: (
                appearance(reply.body if reply.ok else None, item_id),
                rules_of(definitions[name], item_id),
            )
            for name, reply in answers.items()
        },
    }


PAGE = Page("items", "Items", "Shop", "viewer", routes)
