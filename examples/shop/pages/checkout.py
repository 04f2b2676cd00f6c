"""The checkout, and the confirmation of an order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from examples.shop.cart import Line, totals
from examples.shop.endcap import Endcap, Unavailable
from examples.shop.orders import order_summary, purchase_events
from examples.shop.pages.cart import cart_lines
from examples.shop.rendering import Pages
from examples.shop.visit import Visit

SEE_OTHER = 303

_Session = Annotated[str, Form(max_length=256)]


def checkout_router(pages: Pages, endcap: Endcap) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/checkout")
    async def checkout(request: Request) -> Response:
        """Show the last page before the order."""
        visit = Visit(request)
        lines = await cart_lines(endcap, visit)
        if not lines:
            return RedirectResponse(pages.link("/cart"), SEE_OTHER)
        return await _checkout_page(pages, request, lines)

    @router.post("/checkout")
    async def place_order(
        request: Request,
        session_id: _Session = "",
        delivery: Annotated[str, Form(pattern="^(standard|express)$")] = "standard",
    ) -> Response:
        """Send the order to Endcap; it is placed when Endcap has accepted it."""
        visit = Visit(request)
        lines = await cart_lines(endcap, visit)
        if not lines:
            return RedirectResponse(pages.link("/cart"), SEE_OTHER)
        events = purchase_events(visit.next_order_id, lines, visit.user_id, session_id, datetime.now(UTC))
        try:
            await endcap.send(events)
        except Unavailable:
            problem = "Your order could not be placed. Nothing was charged; please try again in a moment."
            return await _checkout_page(pages, request, lines, problem=problem)
        sums = totals(lines, express=delivery == "express")
        visit.order_placed(order_summary(visit.next_order_id, lines, sums, session_id))
        return RedirectResponse(pages.link("/order"), SEE_OTHER)

    @router.get("/order")
    async def order(request: Request) -> Response:
        """Confirm the order that was placed last."""
        visit = Visit(request)
        if visit.order is None:
            return RedirectResponse(pages.link("/"), SEE_OTHER)
        products = await endcap.products([item_id for item_id, _ in visit.order["lines"]])
        lines = [
            Line(products[item_id], quantity)
            for item_id, quantity in visit.order["lines"]
            if item_id in products
        ]
        return await pages.render(request, "order.html", {"order": visit.order, "lines": lines})

    return router


async def _checkout_page(
    pages: Pages, request: Request, lines: list[Line], *, problem: str = ""
) -> HTMLResponse:
    values: dict[str, Any] = {
        "lines": lines,
        "totals": totals(lines),
        "express": totals(lines, express=True),
        "problem": problem,
    }
    return await pages.render(request, "checkout.html", values, status=503 if problem else 200)
