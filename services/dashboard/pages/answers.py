"""One answer: what it contained, and what it was made from."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import Path
from fastapi.routing import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Viewer
from services.dashboard.pages.site import Site
from services.dashboard.store.item_names import item_names


def routes(site: Site) -> APIRouter:
    """Return the route; other pages link to it."""
    pages = site.router()

    @pages.get("/answers/{recommendation_id}")
    async def answer(
        request: Request, visitor: Viewer, recommendation_id: Annotated[str, Path(max_length=256)]
    ) -> Response:
        path = f"/v1/recommendations/{quote(recommendation_id, safe='')}"
        reply = await site.services.get(visitor.tenant, "recommender", path)
        item_ids = [item["product_id"] for item in reply.get("items", [])]
        names = await item_names(site.services, visitor.tenant, item_ids)
        return site.render(
            request, visitor, "shown.html", reply=reply, names=names, recommendation_id=recommendation_id
        )

    return pages
