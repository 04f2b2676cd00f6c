"""The trainer over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager

from services.trainer import app
from services.trainer.domain import STEPS
from services.trainer.settings import Settings
from shared.settings import AuthSettings, PostgresSettings
from tests.integration.trainer.conftest import Trainer
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant, make_tenant


@pytest_asyncio.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


@pytest_asyncio.fixture
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        postgres=PostgresSettings(database_url=database.role_url("trainer")),
        auth=AuthSettings(endcap_secret_key=SECRET_KEY, endcap_service_key=SERVICE_KEY),
    )
    service = app.build(settings)
    async with (
        LifespanManager(service),
        httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://trainer") as client,
    ):
        yield client


async def test_a_run_is_asked_for_joined_and_watched(
    trainer: Trainer, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    first = await http.post("/v1/runs", headers={"x-api-key": tenant.admin})
    second = await http.post("/v1/runs", headers={"x-api-key": tenant.admin}, json={"reason": "new prices"})

    assert (first.status_code, first.json()["joined"]) == (202, False)
    number = first.json()["run"]
    assert second.json() == {"id": number, "run": number, "joined": True}
    await trainer.runs.start(number)
    await trainer.runs.start_step(number, "snapshot")
    await trainer.runs.report_step(number, "snapshot", 0.25, {"files": {}})
    shown = (await http.get(f"/v1/runs/{number}", headers={"x-api-key": tenant.read})).json()
    assert (shown["status"], shown["reasons"]) == ("running", ["asked for by hand", "new prices"])
    assert [step["name"] for step in shown["steps"]] == list(STEPS)
    assert (shown["steps"][1]["status"], shown["steps"][1]["progress"]) == ("running", 0.25)
    assert shown["steps"][1]["seconds"] >= 0
    assert shown["steps"][2]["seconds"] is None
    listed = await http.get("/v1/runs", headers={"x-api-key": tenant.read})
    assert [run["id"] for run in listed.json()["runs"]] == [number]


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        (None, "POST", "/v1/runs", 401),
        ("read", "POST", "/v1/runs", 403),
        ("ingest", "GET", "/v1/runs", 403),
        ("read", "GET", "/v1/runs/99", 404),
        ("read", "GET", "/v1/runs?limit=0", 400),
    ],
)
async def test_a_request_without_the_scope_is_refused_with_a_reason(
    http: httpx.AsyncClient, tenant: Tenant, scope: str | None, method: str, path: str, status: int
) -> None:
    headers = {"x-api-key": getattr(tenant, scope)} if scope else {}
    answer = await http.request(method, path, headers=headers)

    assert answer.status_code == status
    assert answer.json().keys() == {"error", "detail"}
