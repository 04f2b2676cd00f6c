"""An application with a short way in front: busy routes in raw ASGI, all of them documented by FastAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.http import Cors
from shared.unexpected import UnexpectedErrors

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

    from shared.settings import HttpSettings


class Serving:
    """What a process serves, to browsers too: `front` is asked first, and hands on what it doesn't answer."""

    def __init__(self, front: ASGIApp, app: FastAPI, http: HttpSettings) -> None:
        """Answer for unexpected errors of `front` too; those of `app` never leave it."""
        self._guarded = Cors(UnexpectedErrors(front), http.cors_origins)
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._guarded(scope, receive, send)

    def openapi(self) -> dict[str, object]:
        """Every route, those with a short way included."""
        return self.app.openapi()
