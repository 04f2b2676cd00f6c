"""The trainer over HTTP."""

from __future__ import annotations

import httpx
import pytest

from services.trainer.domain import STEPS
from tests.integration.trainer.conftest import Trainer
from tests.support.tenants import Tenant


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
