"""HTTP: the login of dashboards of existing shops, whose password is an API key."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from services.analytics.api.collaborative import PREFIX
from shared.auth import Authenticator, AuthError, Principal
from shared.errors import ApiError
from shared.events.values import Text
from shared.rates import TokenBuckets

LOGINS_PER_MINUTE = 120
"""Attempts of all clients together: guessing a key of 32 random bytes stays hopeless. Arbitrary."""

COOKIE = "endcap_login"
"""deploy/gateway/nginx.conf.template reads it."""
COOKIE_SECONDS = 86_400


class Login(BaseModel):
    """A login. The address is not looked at: keys have none."""

    email: Text = Field(max_length=320)
    password: Text = Field(min_length=1, max_length=200, description="an API key with the scope read")


class Token(BaseModel):
    """The key as a token."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a scheme


class Person(BaseModel):
    """The owner of a key."""

    id: str = Field(description="the tenant of the key")
    email: str = Field(description="the tenant of the key, since keys have no address")
    full_name: str | None
    is_active: bool


class LoginRoutes:
    """The routes of logins."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._attempts = TokenBuckets(LOGINS_PER_MINUTE / 60, burst_seconds=60)

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix=f"{PREFIX}/auth", tags=["Reports"])
        Reader = Annotated[Principal, Depends(self._authenticator.require("read"))]  # noqa: N806

        @routes.post("/login", operation_id="login")
        async def login(body: Login, request: Request, response: Response) -> Token:
            """Return the API key that was sent as password; raise ApiError (401) for another password.

            A cookie has it for a day: the gateway takes it for the key of GETs below `/api/v1` without one.
            """
            if wait := self._attempts.wait_seconds("all", time.monotonic()):
                raise ApiError(429, "TooManyLogins", "Too many logins; try again.", retry_after=int(wait) + 1)
            await self._check(body.password, request)
            is_https = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
            response.set_cookie(
                COOKIE,
                body.password,
                max_age=COOKIE_SECONDS,
                path="/api/v1",
                secure=is_https,
                httponly=True,
                samesite="strict",
            )
            return Token(access_token=body.password)

        @routes.get("/me", operation_id="current_user")
        async def current_user(caller: Reader) -> Person:
            """Return the owner of the key of the request."""
            tenant = caller.own_tenant
            return Person(id=tenant, email=tenant, full_name=None, is_active=True)

        return routes

    async def _check(self, key: str, request: Request) -> None:
        try:
            headers = [(b"x-api-key", key.encode()), (b"origin", request.headers.get("origin", "").encode())]
            caller = await self._authenticator.authenticate(
                headers, method="POST", path="/", query="", body=b"", client_host=None
            )
            self._authenticator.admit(caller, "read")
            _ = caller.own_tenant
        except AuthError:
            detail = "The password must be a valid API key with the scope read."
            raise ApiError(401, "InvalidLogin", detail) from None
