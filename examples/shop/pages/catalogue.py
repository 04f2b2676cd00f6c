"""Home, categories, products and the search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from examples.shop.endcap import Endcap, Page, Unavailable
from examples.shop.products import Product
from examples.shop.rendering import Pages

PAGE_ITEMS = 24
MAX_PAGE = 400
SORTS = {
    "": "Recommended order",
    "newest": "Newest",
    "price": "Price: low to high",
    "-price": "Price: high to low",
}

_Number = Annotated[int, Query(ge=1, le=MAX_PAGE)]
_Sort = Annotated[str, Query(pattern="^(|newest|price|-price)$")]


def catalogue_router(pages: Pages, endcap: Endcap) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/")
    async def home(request: Request) -> HTMLResponse:
        """Show what Endcap recommends, the categories and new products."""
        try:
            newest: list[Product] = await endcap.newest.get()
        except Unavailable:
            newest = []
        return await pages.render(request, "home.html", {"newest": newest})

    @router.get("/categories/{name:path}")
    async def category(request: Request, name: str, page: _Number = 1, sort: _Sort = "") -> HTMLResponse:
        """Show the products of a category, page by page. Raises HTTPException 404 if it has none."""
        listed = await _page(endcap, page, category=name, sort=sort or "id")
        if not listed.products and page == 1:
            raise HTTPException(404, f"There is no category {name}.")
        values = {"name": name, "sort": sort, "sorts": SORTS, **_paging(listed, page)}
        return await pages.render(request, "category.html", values)

    @router.get("/search")
    async def search(
        request: Request, q: Annotated[str, Query(max_length=200)] = "", page: _Number = 1
    ) -> HTMLResponse:
        """Show the products whose name or category has words that begin with those of the search."""
        words = q.strip()
        listed = await _page(endcap, page, search=words) if words else Page([], 0)
        return await pages.render(request, "search.html", {"words": words, **_paging(listed, page)})

    @router.get("/products/{item_id:path}")
    async def product(request: Request, item_id: str) -> HTMLResponse:
        """Show a product. Raises HTTPException 404."""
        item = await endcap.product(item_id)
        if item is None:
            raise HTTPException(404, f"There is no product {item_id}.")
        return await pages.render(request, "product.html", {"product": item})

    return router


async def _page(endcap: Endcap, number: int, **query: str) -> Page:
    return await endcap.page(limit=PAGE_ITEMS, offset=(number - 1) * PAGE_ITEMS, **query)


def _paging(listed: Page, number: int) -> dict[str, object]:
    last = max(1, min(MAX_PAGE, -(-listed.total // PAGE_ITEMS)))
    return {"products": listed.products, "total": listed.total, "page": number, "last_page": last}
