"""Signing in at an OpenID Connect provider.

The provider sends the browser back with a code, which counts once, within ten minutes, and in the browser in
which the sign-in began.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.dashboard.api.guard import PageError
from services.dashboard.domain.identities import name_of_claims, role_of_claims
from services.dashboard.metrics import SIGN_INS
from services.dashboard.store.identity_provider import SignInRefused
from services.dashboard.store.sessions import SIGN_IN_SECONDS, PendingSignIn, Person

if TYPE_CHECKING:
    from services.dashboard.pages.sign_in import SignIn
    from services.dashboard.pages.site import Site
    from services.dashboard.store.identity_provider import IdentityProvider
    from services.dashboard.store.sessions import Sessions

COOKIE = "endcap_sign_in"
PATH = "/sign-in/oidc"

Text = Annotated[str, Query(max_length=4096)]

log = structlog.get_logger()


class OidcSignIn:
    """The routes that lead to the provider and back."""

    def __init__(self, site: Site, sessions: Sessions, provider: IdentityProvider, sign_in: SignIn) -> None:
        self._site = site
        self._sessions = sessions
        self._provider = provider
        self._sign_in = sign_in
        self._settings = site.settings.oidc

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = self._site.router()
        routes.add_api_route(PATH, self.lead, methods=["GET"])
        routes.add_api_route(f"{PATH}/callback", self.come_back, methods=["GET"])
        return routes

    async def lead(self, request: Request, to: Annotated[str, Query(max_length=2000)] = "") -> Response:
        """Lead to the provider; raise PageError 404 if there is none."""
        self._check_configured()
        self._sign_in.limit(request)
        state, browser, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        address = await self._provider.authorization_url(state, nonce, verifier, self._redirect_uri(request))
        await self._sessions.begin_sign_in(PendingSignIn(nonce, verifier, to), state, browser)
        response = RedirectResponse(address, 303)
        response.set_cookie(
            COOKIE,
            browser,
            max_age=int(SIGN_IN_SECONDS),
            path=self._site.root + PATH,
            secure=self._site.guard.is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return response

    async def come_back(
        self,
        request: Request,
        state: Text = "",
        code: Text = "",
        error: Text = "",
        iss: Text = "",
    ) -> Response:
        """Begin the session of the person for whom the provider issued a code."""
        self._check_configured()
        self._sign_in.limit(request)
        browser = request.cookies.get(COOKIE, "")
        pending = await self._sessions.take_sign_in(state, browser) if state and browser else None
        if pending is None:
            return self._refuse(request, "This sign-in has ended, or began in another browser. Begin again.")
        if error or not code:
            reason = error[:100] or "no code"
            return self._refuse(request, f"The identity provider did not sign you in ({reason}).")
        if iss and iss != self._settings.issuer:  # RFC 9207
            return self._refuse(request, "Another identity provider answered.")
        try:
            confirmation = await self._provider.confirm(
                code, pending.nonce, pending.verifier, self._redirect_uri(request)
            )
        except SignInRefused as refusal:
            log.warning("dashboard.sign_in_refused", reason=str(refusal))
            return self._refuse(request, f"Nobody was signed in: {refusal}.")
        claims = confirmation.claims
        role = role_of_claims(claims, self._settings.role_claim, self._settings.roles)
        if role is None:
            detail = f"{name_of_claims(claims)} has no role here. An administrator can give one."
            return self._refuse(request, detail, 403)
        person = Person(name_of_claims(claims), self._settings.tenant, role, id_token=confirmation.id_token)
        return self._without_cookie(await self._sign_in.begin(request, person, pending.destination))

    def _check_configured(self) -> None:
        if not self._provider.is_configured:
            detail = "There is no identity provider: DASHBOARD_OIDC_ISSUER is not set."
            raise PageError(404, "NoIdentityProvider", detail)

    def _redirect_uri(self, request: Request) -> str:
        return self._site.address(request, f"{PATH}/callback")

    def _refuse(self, request: Request, problem: str, status: int = 401) -> Response:
        SIGN_INS.labels("refused").inc()
        return self._without_cookie(self._sign_in.show(request, "", status, problem=problem))

    def _without_cookie(self, response: Response) -> Response:
        response.delete_cookie(COOKIE, path=self._site.root + PATH)
        return response
