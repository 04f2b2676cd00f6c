"""Login as a customer of the catalogue, and the guide for a first visit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from examples.shop.customers import Customers
from examples.shop.endcap import Unavailable
from examples.shop.rendering import Pages
from examples.shop.visit import Visit

SEE_OTHER = 303


def login_router(pages: Pages, customers: Customers) -> APIRouter:
    """Return the routes. There is no password: the customers are a sample."""
    router = APIRouter()

    @router.get("/login")
    async def login(request: Request) -> HTMLResponse:
        """Show customers, each with a sentence about what they bought."""
        return await _login_page(pages, customers, request)

    @router.post("/login")
    async def log_in(
        request: Request, user_id: Annotated[str, Form(min_length=1, max_length=256)]
    ) -> Response:
        """Log in as a customer."""
        customer = await customers.by_id(user_id.strip())
        if customer is None:
            problem = f"There is no customer {user_id}."
            return await _login_page(pages, customers, request, problem=problem)
        visit = Visit(request)
        visit.log_in(customer.user_id)
        visit.say(f"Hello {customer.first_name}. This page is now yours.")
        return RedirectResponse(pages.link("/"), SEE_OTHER)

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        """Forget the customer, the cart and the visit."""
        visit = Visit(request)
        visit.log_out()
        visit.say("You are a new guest: nothing is known of you.")
        return RedirectResponse(pages.link("/"), SEE_OTHER)

    @router.post("/guide")
    async def guide(request: Request, shown: Annotated[str, Form(pattern="^(yes|no)$")] = "no") -> Response:
        """Show or hide the steps for a first visit."""
        Visit(request).show_guide(shown=shown == "yes")
        return RedirectResponse(pages.link("/"), SEE_OTHER)

    return router


async def _login_page(
    pages: Pages, customers: Customers, request: Request, *, problem: str = ""
) -> HTMLResponse:
    try:
        shown = await customers.shown.get()
    except Unavailable:
        shown = []
    values = {"customers": shown, "problem": problem}
    return await pages.render(request, "login.html", values, status=404 if problem else 200)
