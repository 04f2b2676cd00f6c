"""The dashboard on a real Postgres, without the other services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from asgi_lifespan import LifespanManager
from starlette.types import ASGIApp

from services.dashboard import app as dashboard
from services.dashboard.settings import Settings
from services.dashboard.store.services import Services
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant, make_tenant

ADDRESS = "https://shop.example"


@pytest.fixture(scope="module")
async def shop(module_database: Database) -> Tenant:
    """A tenant that the tests of a module share."""
    return await make_tenant(module_database)


@pytest.fixture(scope="module")
async def site(module_database: Database, shop: Tenant) -> AsyncIterator[httpx.ASGITransport]:
    """The application of the dashboard; no other service answers."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_database.environment.items():
            patch.setenv(name, value)
        patch.setenv("ENDCAP_SECRET_KEY", SECRET_KEY)
        patch.setenv("ENDCAP_SERVICE_KEY", SERVICE_KEY)
        patch.setenv("DASHBOARD_SIGN_INS_PER_MINUTE", "1000")
        for service in (
            "TRACKER",
            "SYNC",
            "TRAINER",
            "LOADER",
            "RECOMMENDER",
            "ROUTER",
            "ENGINE",
            "ANALYTICS",
        ):
            patch.setenv(f"ENDCAP_{service}_URL", "http://127.0.0.1:9")  # the port of discard: nobody listens
        app = dashboard.build(Settings())
    async with LifespanManager(app) as manager:
        yield httpx.ASGITransport(manager.app)


@pytest.fixture
async def client(site: httpx.ASGITransport) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a session, which reaches the dashboard by TLS."""
    async with httpx.AsyncClient(transport=site, base_url=ADDRESS) as browser:
        yield browser


@asynccontextmanager
async def beside(database: Database, build: Callable[[], ASGIApp]) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of a dashboard whose calls all reach the application that `build` returns."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in database.environment.items():
            patch.setenv(name, value)
        patch.setenv("ENDCAP_SECRET_KEY", SECRET_KEY)
        patch.setenv("ENDCAP_SERVICE_KEY", SERVICE_KEY)
        other, settings = build(), Settings()
    async with LifespanManager(other) as running:
        services = Services(settings, httpx.ASGITransport(running.app))
        async with (
            LifespanManager(dashboard.build(settings, services)) as pages,
            httpx.AsyncClient(transport=httpx.ASGITransport(pages.app), base_url=ADDRESS) as browser,
        ):
            yield browser
