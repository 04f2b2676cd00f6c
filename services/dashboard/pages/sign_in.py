"""Signing in with an API key, signing out, and the choice of the theme."""

from __future__ import annotations

import time
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import COOKIE, PageError, Viewer, Visitor
from services.dashboard.metrics import SIGN_INS
from services.dashboard.pages.site import THEME, THEMES, Site
from shared.errors import Transient
from shared.rates import TokenBuckets

if TYPE_CHECKING:
    from services.dashboard.settings import Settings
    from services.dashboard.store.identity_provider import IdentityProvider
    from services.dashboard.store.sessions import Person, Sessions

ALL_ADDRESSES = "all"
FACTOR = 20
"""All addresses together may make so many times the attempts of one; arbitrary."""
MAX_KEY_LENGTH = 200
YEAR_SECONDS = 365 * 86_400


class SignIn:
    """The routes that begin and end a session."""

    def __init__(
        self, site: Site, sessions: Sessions, provider: IdentityProvider, settings: Settings
    ) -> None:
        self._site = site
        self._sessions = sessions
        self._provider = provider
        self._session_seconds = int(settings.session_hours * 3600)
        per_second = settings.sign_ins_per_minute / 60
        self._of_address = TokenBuckets(per_second, burst_seconds=60)
        self._of_all = TokenBuckets(per_second * FACTOR, burst_seconds=60)

    def router(self) -> APIRouter:
        """Return the routes."""
        site = self._site
        routes = site.router()

        @routes.get("/sign-in")
        async def sign_in_page(request: Request, to: str = "") -> Response:
            return self.show(request, to)

        @routes.post("/sign-in")
        async def sign_in(request: Request) -> Response:
            return await self._sign_in(request)

        @routes.post("/sign-out")
        async def sign_out(request: Request, visitor: Viewer) -> Response:
            return await self._sign_out(request, visitor)

        @routes.post("/theme")
        async def theme(request: Request, visitor: Viewer) -> Response:
            chosen = visitor.text("theme")
            response = site.redirect(request, _own_path(visitor.text("to"), site))
            if chosen in THEMES:
                response.set_cookie(
                    THEME, chosen, max_age=YEAR_SECONDS, path=site.root, httponly=True, samesite="lax",
                    secure=site.guard.is_secure(request),
                )  # fmt: skip
            return response

        return routes

    async def _sign_out(self, request: Request, visitor: Visitor) -> Response:
        """End the session; lead somebody of an identity provider there, to end the provider's session too.

        The answer to the form is a page that leads on: browsers apply `form-action` of the
        Content-Security-Policy to redirects, too.
        """
        id_token = await self._sessions.end(visitor.token)
        address = None
        if id_token is not None and self._provider.is_configured:
            with suppress(Transient):  # the session here has ended in any case
                address = await self._provider.sign_out_url(id_token, self._site.address(request, "/sign-in"))
        if address is None:
            response = self._site.redirect(request, "/sign-in", "You are signed out.")
        else:
            title = self._site.settings.oidc.title
            response = self._site.render(request, None, "sign_out.html", address=address, provider=title)
        response.delete_cookie(COOKIE, path=self._site.root)
        return response

    async def _sign_in(self, request: Request) -> Response:
        """Begin a session, or show the form with the reason why not."""
        self._site.guard.check_origin(request)
        self.limit(request)
        form = await request.form()
        key, name, to = (str(form.get(field, "")).strip() for field in ("key", "name", "to"))
        person = None
        if 0 < len(key) <= MAX_KEY_LENGTH:
            person = await self._sessions.person_of_key(key, name[:60])
        if person is None:
            SIGN_INS.labels("refused").inc()
            problem = (
                "This key does not open the dashboard. It needs a valid key with the scope read or admin; "
                "keys for web pages and for services are refused."
            )
            return self.show(request, to, 401, problem=problem, name=name)
        return await self.begin(request, person, to)

    def show(
        self, request: Request, to: str, status: int = 200, *, problem: str = "", name: str = ""
    ) -> Response:
        """Return the form, with the reason why a sign-in was refused."""
        oidc = self._site.settings.oidc
        return self._site.render(
            request, None, "sign_in.html", status, to=to, problem=problem, name=name,
            provider=oidc.title if oidc.issuer else "",
        )  # fmt: skip

    async def begin(self, request: Request, person: Person, to: str) -> Response:
        """Begin a session of a person; return the redirect that sets its cookie."""
        SIGN_INS.labels("accepted").inc()
        token = await self._sessions.begin(person)
        response = self._site.redirect(request, _own_path(to, self._site))
        response.set_cookie(
            COOKIE,
            token,
            max_age=self._session_seconds,
            path=self._site.root,
            secure=self._site.guard.is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return response

    def limit(self, request: Request) -> None:
        """Raise PageError 429 if there were too many attempts."""
        now = time.monotonic()
        waits = (
            self._of_address.wait_seconds(_address(request), now),
            self._of_all.wait_seconds(ALL_ADDRESSES, now),
        )
        if any(waits):
            SIGN_INS.labels("limited").inc()
            seconds = int(max(waits)) + 1
            detail = f"Too many attempts to sign in. Try again in {seconds} s."
            raise PageError(429, "TooManySignIns", detail, retry_after=seconds)


def _own_path(to: str, site: Site) -> str:
    """Return the path below the root of an address of this site; else that of the first page."""
    parts = urlsplit(to)
    path = parts.path.removeprefix(site.root)
    if parts.scheme or parts.netloc or not parts.path.startswith(f"{site.root}/") or "\\" in to:
        return site.home()
    if path.startswith(("//", "/sign-")):
        return site.home()
    return path + (f"?{parts.query}" if parts.query else "")


def _address(request: Request) -> str:
    """Return the client's address: that of the connection, or what a proxy on a private network reports.

    A forged header gives a client other attempts, but those of all addresses are limited, too.
    """
    peer = request.client.host if request.client else ""
    try:
        is_proxy = ip_address(peer).is_private
    except ValueError:
        return peer
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded[:64] if is_proxy and forwarded else peer
