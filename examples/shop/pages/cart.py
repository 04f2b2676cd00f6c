"""The cart."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from examples.shop.cart import MAX_QUANTITY, Line, totals
from examples.shop.endcap import Endcap
from examples.shop.rendering import Pages
from examples.shop.visit import Visit

SEE_OTHER = 303

_Item = Annotated[str, Form(min_length=1, max_length=256)]
_Quantity = Annotated[int, Form(ge=0, le=MAX_QUANTITY)]


async def cart_lines(endcap: Endcap, visit: Visit) -> list[Line]:
    """Return the lines of the visit's cart. Raises Unavailable."""
    products = await endcap.products(list(visit.cart.quantities))
    return visit.cart.lines(products)


def cart_router(pages: Pages, endcap: Endcap) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/cart")
    async def cart(request: Request) -> HTMLResponse:
        """Show the cart."""
        lines = await cart_lines(endcap, Visit(request))
        return await pages.render(request, "cart.html", {"lines": lines, "totals": totals(lines)})

    @router.post("/cart")
    async def change_cart(
        request: Request, item_id: _Item, quantity: _Quantity = 1, action: Annotated[str, Form()] = "add"
    ) -> Response:
        """Add an item to the cart, or with the action `put` set its quantity. Raises HTTPException 404."""
        visit = Visit(request)
        product = await endcap.product(item_id)
        if product is None:
            raise HTTPException(404, f"There is no product {item_id}.")
        change = visit.cart.put if action == "put" else visit.cart.add
        if not change(item_id, quantity):
            visit.say("The cart is full. Please order first, or remove something.")
        elif action != "put":
            visit.say(f"{product.name} is in your cart.")
        return RedirectResponse(pages.link("/cart"), SEE_OTHER)

    return router
