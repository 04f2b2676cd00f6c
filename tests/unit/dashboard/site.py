"""The dashboard's application without servers: sessions are given, other services answer as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.dashboard import app as dashboard
from services.dashboard.domain.tokens import csrf_token
from services.dashboard.settings import Settings
from services.dashboard.store.audit_log import AuditLog
from services.dashboard.store.services import Services
from services.dashboard.store.sessions import Person, Sessions

ADDRESS = "http://shop.example"
TOKEN = "a session"
CSRF = csrf_token(TOKEN)

Answer = Callable[[httpx.Request], httpx.Response]


def absent(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no connection")


@asynccontextmanager
async def browser(
    patch: pytest.MonkeyPatch, person: Person | None, answer: Answer = absent
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is signed in as a person, or as nobody."""

    async def find(_: Sessions, token: str) -> Person | None:
        return person if token == TOKEN else None

    async def begin(*_: Any) -> int:
        return 1

    async def end(*_: Any) -> None:
        return None

    async def nothing(*_: Any) -> list[dict[str, Any]]:
        return []

    patch.setattr(Sessions, "find", find)
    patch.setattr(Sessions, "end", end)
    patch.setattr(AuditLog, "begin", begin)
    patch.setattr(AuditLog, "complete", nothing)
    patch.setattr(AuditLog, "entries", nothing)
    services = Services(Settings(), httpx.MockTransport(answer))
    await services.start()
    transport = httpx.ASGITransport(application(services), raise_app_exceptions=False)
    cookies = {"endcap_session": TOKEN} if person else {}
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, cookies=cookies) as client:
        yield client
    await services.stop()


def application(services: Services | None = None) -> FastAPI:
    return dashboard.build(Settings(), services)
