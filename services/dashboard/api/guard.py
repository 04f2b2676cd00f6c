"""The guard of pages: the session of a request, the role that a route needs, and protection against CSRF."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.datastructures import FormData
from starlette.requests import Request

from services.dashboard.domain.roles import Role, has_role
from services.dashboard.domain.tokens import csrf_token, is_csrf_token
from services.dashboard.store.sessions import Person, Sessions
from shared.errors import ApiError

if TYPE_CHECKING:
    from services.dashboard.settings import Settings

COOKIE = "endcap_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class SignInNeeded(Exception):
    """The request has no session, or one that has ended."""


class PageError(ApiError):
    """An error that is shown as a page."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person and the request's form."""

    person: Person
    token: str
    form: FormData = field(default_factory=FormData)

    @property
    def tenant(self) -> str:
        """Return the tenant that the person works for."""
        return self.person.tenant

    @property
    def csrf(self) -> str:
        """Return the token for the forms of a page."""
        return csrf_token(self.token)

    def may(self, role: Role) -> bool:
        """Return whether the person may do what a role may."""
        return has_role(self.person.role, role)

    def text(self, name: str, default: str = "") -> str:
        """Return a text field of the form, without spaces around it."""
        value = self.form.get(name, default)
        return value.strip() if isinstance(value, str) else default


class Guard:
    """Finds the visitor of a request and checks what they may do."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self._sessions = sessions
        self._public_url = settings.public_url

    async def visitor(self, request: Request, role: Role) -> Visitor:
        """Return the visitor of a request.

        Raises SignInNeeded without a session, PageError 403 if the role does not suffice or a request that
        changes something comes from another site.
        """
        token = request.cookies.get(COOKIE, "")
        person = await self._sessions.find(token) if token else None
        if person is None:
            raise SignInNeeded
        form = FormData()
        if request.method not in SAFE:
            self.check_origin(request)
            form = await request.form()
            sent = form.get("csrf") or request.headers.get("x-csrf-token", "")
            if not isinstance(sent, str) or not is_csrf_token(token, sent):
                detail = "The form is not of this session. Load the page again, and repeat the change."
                raise PageError(403, "ForeignForm", detail)
        if not has_role(person.role, role):
            detail = (
                f"You are signed in as {person.role}; this needs the role {role}. "
                "Sign in with a key that has it."
            )
            raise PageError(403, "MissingRole", detail)
        return Visitor(person, token, form)

    def check_origin(self, request: Request) -> None:
        """Raise PageError 403 if a page of another site sent the request."""
        origin = request.headers.get("origin")
        if origin is None or origin == "null":
            if request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}:
                return
        elif self._public_url is not None:
            if origin.lower() == self._public_url.lower():
                return
        elif urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower():
            return
        raise PageError(403, "ForeignOrigin", "A page of another site sent this request, so it was refused.")

    def is_secure(self, request: Request) -> bool:
        """Return whether browsers reach the dashboard by TLS, so that cookies need it."""
        if self._public_url is not None:
            return self._public_url.startswith("https:")
        return request.headers.get("x-forwarded-proto", request.url.scheme) == "https"


def require(role: Role) -> Callable[[Request], Awaitable[Visitor]]:
    """Return a dependency that returns the visitor of a request, who has at least this role."""

    async def visitor(request: Request) -> Visitor:
        guard: Guard = request.app.state.guard
        return await guard.visitor(request, role)

    return visitor


Viewer = Annotated[Visitor, Depends(require("viewer"))]
Merchandiser = Annotated[Visitor, Depends(require("merchandiser"))]
Admin = Annotated[Visitor, Depends(require("admin"))]
