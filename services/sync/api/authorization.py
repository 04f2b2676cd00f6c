"""The authorization of routes that several scopes may read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import Request

from shared.auth import Principal

if TYPE_CHECKING:
    from shared.auth import Authenticator, Scope


def reader(authenticator: Authenticator, *also: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency: the principal of the request, which has `read`, `admin` or one of `also`."""
    scopes: tuple[Scope, ...] = ("admin", "read", *also)

    async def principal(request: Request) -> Principal:
        caller = authenticator.known(request.scope) or await authenticator.of_scope(request.scope)
        sufficient: Scope = next((scope for scope in scopes if scope in caller.scopes), "read")
        return authenticator.admit(caller, sufficient)

    return principal
