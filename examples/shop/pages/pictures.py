"""The pictures of products."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from examples.shop.endcap import Endcap, Unavailable
from examples.shop.pictures import draw

DAY = "public, max-age=86400"
NOT_KEPT = "no-store"


def pictures_router(endcap: Endcap) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.get("/pictures/{item_id:path}.svg")
    async def picture(item_id: str) -> Response:
        """Return the drawing of a product; while Endcap is away, a neutral one. Raises HTTPException 404."""
        try:
            product = await endcap.product(item_id)
        except Unavailable:
            return _svg(draw(item_id), NOT_KEPT)
        if product is None:
            raise HTTPException(404, f"There is no product {item_id}.")
        return _svg(draw(product.name, product.category, product.design), DAY)

    return router


def _svg(text: str, cached: str) -> Response:
    return Response(text, media_type="image/svg+xml", headers={"Cache-Control": cached})
