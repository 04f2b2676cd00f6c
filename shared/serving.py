"""An application with a short way in front: busy routes in raw ASGI, all of them documented by FastAPI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Serving:
    """What a process serves: `front` is asked first, and hands to `app` what it doesn't answer."""

    front: ASGIApp
    app: FastAPI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self.front(scope, receive, send)

    def openapi(self) -> dict[str, object]:
        """Every route, those with a short way included."""
        return self.app.openapi()
