"""The dashboard's process."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.dashboard.api import audit
from services.dashboard.api.assets import Assets
from services.dashboard.api.guard import Guard, SignInNeeded
from services.dashboard.api.headers import SecurityHeaders
from services.dashboard.pages import PAGES, UNLISTED
from services.dashboard.pages.oidc import OidcSignIn
from services.dashboard.pages.sign_in import SignIn
from services.dashboard.pages.site import Site
from services.dashboard.settings import Settings
from services.dashboard.store.audit_log import AuditLog
from services.dashboard.store.identity_provider import IdentityProvider
from services.dashboard.store.services import Services
from services.dashboard.store.sessions import Sessions
from shared.auth import Authenticator
from shared.http.runtime import application
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

DESCRIPTION = "Pages for the people of a shop; the log of the changes that they made."
CLEANING_SECONDS = 900.0
"""Seconds between deletions of ended sessions and old entries; arbitrary."""

Handler = Callable[[Request, Exception], Awaitable[Response]]


def build(settings: Settings, services: Services | None = None) -> FastAPI:
    """Return the HTTP process; `services` replaces the other services in tests."""
    database = Database(settings.postgres, "dashboard")
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    services = services or Services(settings)
    sessions, audit_log = Sessions(requests, settings), AuditLog(requests, settings.audit_days)
    assets = Assets(settings.root_path, settings.assets)
    guard = Guard(sessions, settings)
    site = Site(settings, guard, services, audit_log, assets)

    async def clean() -> None:
        await sessions.delete_ended()
        await audit_log.delete_old()

    provider = IdentityProvider(settings.oidc, settings.call_seconds)
    sign_in = SignIn(site, sessions, provider, settings)
    app = application(
        "dashboard",
        parts=[
            database,
            authenticator,
            services,
            provider,
            PeriodicTask("clean", clean, seconds=CLEANING_SECONDS),
        ],
        routers=[
            *site.routers(PAGES),
            *(routes(site) for routes in UNLISTED),
            sign_in.router(),
            OidcSignIn(site, sessions, provider, sign_in).router(),
            assets.router(),
            audit.router(authenticator, audit_log),
        ],
        description=DESCRIPTION,
        http=settings.http,
    )
    app.state.guard = guard
    _redirect_home(app, site)
    _answer_with_pages(app, site)
    app.add_middleware(SecurityHeaders, root=settings.root_path)
    return app


def _redirect_home(app: FastAPI, site: Site) -> None:
    async def home(_: Request) -> Response:
        return RedirectResponse(f"{site.root}{site.home()}", 303)

    for path in ("/", site.root, f"{site.root}/"):
        app.add_api_route(path, home, methods=["GET"], include_in_schema=False, response_model=None)


def _answer_with_pages(app: FastAPI, site: Site) -> None:
    """Let errors below the root be pages: the answers that the runtime gives to programs, as HTML."""

    async def sign_in(request: Request, _: Exception) -> Response:
        target = request.url.path if request.method == "GET" else ""
        query = f"?{request.url.query}" if request.url.query and target else ""
        address = f"{site.root}/sign-in" + (f"?to={quote(target + query, safe='')}" if target else "")
        if "hx-request" in request.headers:
            return Response(status_code=200, headers={"HX-Redirect": f"{site.root}/sign-in"})
        return RedirectResponse(address, 303)

    def as_page(answer: Any) -> Handler:
        async def handler(request: Request, error: Exception) -> Response:
            response: Response = await answer(request, error)
            if not request.url.path.startswith(site.root):
                return response
            body = json.loads(bytes(response.body))
            page = site.render(
                request, None, "error.html", response.status_code, code=body["error"], detail=body["detail"]
            )
            if "retry-after" in response.headers:
                page.headers["retry-after"] = response.headers["retry-after"]
            return page

        return handler

    for error, answer in list(app.exception_handlers.items()):
        app.add_exception_handler(error, as_page(answer))
    app.add_exception_handler(SignInNeeded, sign_in)
