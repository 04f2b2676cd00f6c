"""HTTP: request a run, and follow it."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query
from pydantic import BaseModel, Field

from services.trainer.domain.amazon_cost import estimate
from services.trainer.domain.run_options import RunOptions
from services.trainer.store import Runs
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.batches import RunKind
from shared.events.values import Text
from shared.http.runtime import ErrorBody


class Step(BaseModel):
    """A step of a run."""

    name: str
    status: Literal["pending", "running", "done", "skipped", "failed", "cancelled"]
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None = Field(description="how long it took, or has taken so far")
    progress: float = Field(description="0 to 1")
    detail: dict[str, Any] = Field(description="its results: files, ARNs, metrics")


class AmazonCost(BaseModel):
    """An estimate of the cost of the same run on Amazon Personalize; the formula is in docs/runs.md."""

    import_usd: float
    training_usd: float
    batch_usd: float
    total_usd: float
    training_hours: float = Field(description="that Amazon would bill")
    campaign_usd_per_month: float = Field(description="for a campaign with the least throughput")


class Run(BaseModel):
    """A training run."""

    id: int = Field(description="the number of the run, as in its path")
    run: int = Field(description="the same number, which is also the generation of its lists")
    kind: RunKind = Field(
        description="of the run; another than `full` if it has the models of an earlier one"
    )
    options: dict[str, float] = Field(description="its options that are not those of the settings")
    status: Literal["queued", "running", "completed", "failed", "cancelled", "timed_out"]
    reasons: list[str] = Field(description="the reasons of the requests for it")
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    steps: list[Step]
    amazon_cost: AmazonCost | None = Field(description="an estimate; null before the lists are computed")


class RunsPage(BaseModel):
    """The newest runs."""

    runs: list[Run]


class RunRequest(RunOptions):
    """The reason for a run, and its options."""

    reason: Text = Field("asked for by hand", min_length=1, max_length=500)


class CancelRequest(BaseModel):
    """The reason for a cancellation."""

    reason: Text = Field("by hand", min_length=1, max_length=500)


class AcceptedRun(BaseModel):
    """The run that was queued."""

    id: int = Field(description="the number of the run: follow it at /v1/runs/{id}")
    run: int = Field(description="the same number, which is also the generation of its lists")
    joined: bool = Field(description="whether it was queued before: the request then joins it")


_NO_TENANT: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "The tenant that a service named does not exist."}
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "The tenant has no such run."}
}


_ENDED: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "The run has ended before."}
}


async def require_tenant(runs: Runs, tenant: str) -> None:
    """Raise ApiError 404 for an unknown tenant: that of an API key exists, a service key may name any."""
    if await runs.dataset_group(tenant) is None:
        raise ApiError(404, "UnknownTenant", f"There is no tenant {tenant}; a dataset group makes one.")


def _unknown_run(run: int) -> ApiError:
    return ApiError(404, "UnknownRun", f"There is no run {run}; GET /v1/runs lists them.")


def _body(row: dict[str, Any]) -> Run:
    cost = estimate({step["name"]: step["detail"] for step in row["steps"]})
    return Run.model_validate({**row, "amazon_cost": None if cost is None else asdict(cost)})


def router(authenticator: Authenticator, runs: Runs) -> APIRouter:
    """Return the routes of the trainer."""
    routes = APIRouter(prefix="/v1/runs", tags=["runs"])
    Reader = Annotated[Principal, Depends(authenticator.require("read"))]  # noqa: N806
    Administrator = Annotated[Principal, Depends(authenticator.require("admin"))]  # noqa: N806

    @routes.post("", operation_id="start_run", status_code=202, responses=_NO_TENANT)
    async def start_run(
        principal: Administrator, request: Annotated[RunRequest | None, Body()] = None
    ) -> AcceptedRun:
        """Request a training run; while one is queued, the request joins it."""
        request = request or RunRequest()
        options = RunOptions(**request.model_dump(exclude={"reason"}))
        tenant = principal.own_tenant
        await require_tenant(runs, tenant)
        requested = await runs.request(tenant, request.reason, options=options)
        return AcceptedRun(id=requested.run, run=requested.run, joined=requested.joined)

    @routes.get("", operation_id="list_runs")
    async def list_runs(principal: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 20) -> RunsPage:
        """List the newest runs of the tenant with their steps."""
        rows = await runs.list_newest(principal.own_tenant, limit=limit)
        return RunsPage(runs=[_body(row) for row in rows])

    @routes.get("/{run}", operation_id="get_run", responses=_UNKNOWN)
    async def get_run(
        principal: Reader, run: Annotated[int, Path(ge=1, le=2**62, description="the number of the run")]
    ) -> Run:
        """Show a run with its steps, their progress and their results."""
        rows = await runs.list_newest(principal.own_tenant, run=run)
        if not rows:
            raise _unknown_run(run)
        return _body(rows[0])

    @routes.post("/{run}/cancel", operation_id="cancel_run", responses=_UNKNOWN | _ENDED)
    async def cancel_run(
        principal: Administrator,
        run: Annotated[int, Path(ge=1, le=2**62, description="the number of the run")],
        request: Annotated[CancelRequest | None, Body()] = None,
    ) -> Run:
        """Cancel a queued or running run, and show it; what is served stays.

        A repeated call changes nothing. Raises ApiError 409 for a run that has ended.
        """
        tenant = principal.own_tenant
        status = await runs.cancel(tenant, run, (request or CancelRequest()).reason)
        if status is None:
            raise _unknown_run(run)
        if status != "cancelled":
            detail = f"Run {run} is {status}: only a queued or running run can be cancelled."
            raise ApiError(409, "RunEnded", detail)
        return _body((await runs.list_newest(tenant, run=run))[0])

    return routes
