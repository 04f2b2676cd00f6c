"""Who may read: the scopes read and admin alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import Request

from shared.auth import Principal

if TYPE_CHECKING:
    from shared.auth import Authenticator


def reader(authenticator: Authenticator) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency: the principal of the request, which has `read` or `admin`."""

    async def principal(request: Request) -> Principal:
        found = authenticator.known(request.scope) or await authenticator.of_scope(request.scope)
        return authenticator.admit(found, "admin" if "admin" in found.scopes else "read")

    return principal
