"""Build the shop: its pages, its session cookie and its client of Endcap."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from examples.shop.customers import Customers
from examples.shop.endcap import Endcap, Unavailable
from examples.shop.headers import Edge
from examples.shop.pages import cart_router, catalogue_router, checkout_router, login_router, pictures_router
from examples.shop.rendering import FOLDER, Pages
from examples.shop.settings import Settings

COOKIE = "endcap_shop"
COOKIE_SECONDS = 30 * 86_400
CONNECTIONS = 40

Handler = Callable[[Request, Exception], Awaitable[Response]]


def build(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """Return the shop. Requests to Endcap use `transport` if there is one, else the network."""
    client = httpx.AsyncClient(
        base_url=settings.endcap_url,
        timeout=settings.timeout_seconds,
        limits=httpx.Limits(max_connections=CONNECTIONS),
        transport=transport,
        verify=_trust(settings),
        trust_env=False,
    )
    endcap = Endcap(
        client,
        read_key=settings.read_key.get_secret_value(),
        storefront_key=settings.storefront_key.get_secret_value(),
    )
    customers = Customers(endcap)
    pages = Pages(settings, endcap, customers)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(
        title=settings.name,
        lifespan=lifespan,
        openapi_url=None,
        default_response_class=HTMLResponse,
    )
    app.add_middleware(
        SessionMiddleware,
        secret_key=settings.session_key.get_secret_value(),
        session_cookie=COOKIE,
        max_age=COOKIE_SECONDS,
        path=settings.root_path or "/",
        same_site="lax",
        https_only=settings.secure_cookies,
    )
    app.add_middleware(Edge, settings=settings)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))
    _add_health(app, endcap)
    app.include_router(pictures_router(endcap))
    app.include_router(login_router(pages, customers))
    app.include_router(cart_router(pages, endcap))
    app.include_router(checkout_router(pages, endcap))
    app.include_router(catalogue_router(pages, endcap))
    _add_errors(app, pages)
    return app


def _trust(settings: Settings) -> ssl.SSLContext | bool:
    return True if settings.ca_file is None else ssl.create_default_context(cafile=str(settings.ca_file))


def _add_health(app: FastAPI, endcap: Endcap) -> None:
    @app.get("/livez")
    async def livez() -> JSONResponse:
        """Answer that the process runs."""
        return JSONResponse({"status": "ok"})

    @app.get("/health")
    @app.get("/readyz")
    async def health() -> JSONResponse:
        """Answer 200 if the catalogue of Endcap can be read, else 503."""
        reason = await endcap.problem()
        if reason is None:
            return JSONResponse({"status": "ok"})
        problem = f"Endcap's catalogue can't be read ({reason}); see SHOP_ENDCAP_URL and SHOP_READ_KEY"
        return JSONResponse({"status": "unavailable", "problem": problem}, 503)


def _add_errors(app: FastAPI, pages: Pages) -> None:
    async def page(request: Request, status: int, text: str) -> Response:
        title = HTTPStatus(status).phrase
        return await pages.render(request, "error.html", {"title": title, "text": text}, status=status)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = "This page does not exist." if error.detail == "Not Found" else error.detail
        return await page(request, error.status_code, text)

    async def invalid(request: Request, _: Exception) -> Response:
        return await page(request, 400, "The address or the form has a value that the shop does not know.")

    async def unavailable(request: Request, _: Exception) -> Response:
        return await page(request, 503, "Endcap can't be reached right now. Please try again in a moment.")

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Unavailable, unavailable)
