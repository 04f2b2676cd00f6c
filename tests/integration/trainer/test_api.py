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


async def test_a_shops_dashboard_reads_which_models_there_are_and_trains_some(
    trainer: Trainer, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    read, admin = {"authorization": f"Bearer {tenant.read}"}, {"x-api-key": tenant.admin}
    before = await http.get("/api/v1/ml/status", headers=read)
    refused = await http.post("/api/v1/ml/train", headers=read)
    begun = await http.post("/api/v1/ml/train?time_filter=all&force_retrain=false", headers=admin)
    number = begun.json()["run"]
    run = await trainer.runs.start(number)
    models = {name: {"metrics": {"coverage": 0.5}} for name in ("user-personalization", "similar-items")}
    for step, detail in (
        ("snapshot", {"files": {"items": {"rows": 3}}}),
        ("train", {"models": models}),
        ("manifest", {"recipes": ["popularity", *models]}),
    ):
        await trainer.runs.start_step(number, step)
        await trainer.runs.report_step(number, step, 1, detail)
        await trainer.runs.end_step(number, step, "done")
    await trainer.runs.complete(run, None)
    status = (await http.get("/api/v1/ml/status", headers=read)).json()
    known = await http.post("/api/v1/ml/train", headers=admin)
    forced = await http.post("/api/v1/ml/train?force_retrain=true", headers=admin)

    nothing = dict.fromkeys(
        ("collaborative_filtering", "content_based", "matrix_factorization", "popularity_based"), False
    )
    assert before.json() == {
        "is_trained": False, "training_timestamp": None, "model_metadata": {}, "algorithms": nothing,
    }  # fmt: skip
    assert refused.status_code == 403
    assert begun.json() == {"status": "queued", "successful_models": 0, "total_models": 3, "run": number}
    assert status.pop("training_timestamp")
    assert status == {
        "is_trained": True,
        "model_metadata": {
            "run": number,
            "models": {name: {"coverage": 0.5} for name in models},
            "lists": ["popularity", "similar-items", "user-personalization"],
        },
        "algorithms": dict.fromkeys(nothing, True) | {"matrix_factorization": False},
    }
    assert known.json() == {"status": "trained", "successful_models": 2, "total_models": 3, "run": None}
    assert (forced.json()["status"], forced.json()["run"] > number) == ("queued", True)
