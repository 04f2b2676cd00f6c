"""HTTP for people: what the workers are at."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from services.engine.domain.resources import Type
from services.engine.domain.state import DataDeletionJob
from services.engine.personalize.data_deletion_jobs import STATUS_WORDS
from services.engine.personalize.dispatcher import account_of
from services.engine.settings import Settings
from services.engine.store import erasures
from services.engine.store.resources import Resources, list_jobs
from shared.auth import Authenticator, Principal
from shared.aws import WireError
from shared.errors import ApiError
from shared.http.runtime import ErrorBody
from shared.postgres import Database

_DETAILS = frozenset(
    ("rows", "lines", "errors", "metrics", "notes", "interactions", "users", "items", "seconds")
)


class JobStatus(BaseModel):
    """An import, a training or a batch inference, and how far it is."""

    arn: str
    type: str = Field(
        description="dataset-import-job, solution-version, model-renewal, recommender-training …"
    )
    name: str
    status: str = Field(description="CREATE PENDING, CREATE IN_PROGRESS, ACTIVE or CREATE FAILED")
    failure_reason: str | None = Field(description="why it failed")
    step: str | None = Field(description="what is being done, in words")
    share: float | None = Field(description="how much of the work is done, 0 to 1")
    warnings: list[str] = Field(description="what Personalize would have refused, and what was left out")
    details: dict[str, Any] = Field(
        description="of an import its rows, of a version its metrics and what it chose and why, of a batch "
        "its lines"
    )
    attempts: int = Field(description="how often a worker began it")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobStatuses(BaseModel):
    """The newest jobs first."""

    jobs: list[JobStatus]


class ErasureOfService(BaseModel):
    """What one service has erased."""

    users: int = Field(description="users that the service has confirmed")
    erased_at: datetime = Field(alias="erasedAt", description="when it confirmed the last of them")
    rows: dict[str, int] = Field(description="rows that were erased, by the place where they were")


class ErasureReceipt(BaseModel):
    """A data deletion job and what it has erased where."""

    job: str
    status: str = Field(description="PENDING, IN_PROGRESS, COMPLETED or FAILED")
    requested_at: datetime
    deleted_rows: int | None = Field(description="imported and received rows, as numDeleted of the job")
    models: int | None = Field(description="models that were written anew without the users")
    services: dict[str, ErasureOfService]
    waits_for: dict[str, int] = Field(description="services that have not confirmed, and of how many users")


def router(database: Database, authenticator: Authenticator, settings: Settings) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["Status"])
    Administrator = Annotated[Principal, Depends(authenticator.require("admin"))]  # noqa: N806
    Reader = Annotated[Principal, Depends(authenticator.require("read"))]  # noqa: N806

    @api.get("/v1/status", operation_id="status", summary="What the workers are at")
    async def status(
        principal: Reader,
        limit: Annotated[int, Query(ge=1, le=200, description="how many jobs to show")] = 50,
    ) -> JobStatuses:
        """The newest jobs of the caller's tenant (an API key) or account (an AWS key pair)."""
        try:
            account = await account_of(database, principal, settings)
        except WireError as error:
            raise ApiError(403, "UnknownTenant", error.message) from None
        rows = await list_jobs(database, account, principal.tenant, limit)
        return JobStatuses(jobs=[_status(row) for row in rows])

    @api.get(
        "/v1/erasures/{name}",
        operation_id="erasure_receipt",
        summary="What a data deletion job has erased",
        responses={404: {"model": ErrorBody, "description": "There is no such job."}},
    )
    async def receipt(
        principal: Administrator, name: Annotated[str, Path(max_length=63, description="the job's name")]
    ) -> ErasureReceipt:
        """The confirmations of all services, also of a job that still waits for some of them."""
        try:
            account = await account_of(database, principal, settings)
        except WireError as error:
            raise ApiError(403, "UnknownTenant", error.message) from None
        resources = Resources(database, account, principal.tenant, "")
        job = await resources.load(DataDeletionJob, f"{Type.DATA_DELETION_JOB}/{name}")
        if job is None:
            raise ApiError(404, "UnknownJob", f"There is no data deletion job {name!r}.")
        services, unconfirmed = job.facts.receipt, dict[str, int]()
        if services is None:
            services = await erasures.receipt(database, job.id)
            unconfirmed = await erasures.unconfirmed(database, job.id, settings.erasure_services)
        return ErasureReceipt(
            job=job.name,
            status=STATUS_WORDS[job.status],
            requested_at=job.created_at,
            deleted_rows=job.facts.deleted,
            models=job.facts.models,
            services=services,
            waits_for=unconfirmed,
        )

    return api


def _status(row: dict[str, Any]) -> JobStatus:
    progress, facts = row.pop("progress"), row.pop("facts")
    return JobStatus(
        **row,
        step=progress.get("step"),
        share=progress.get("share"),
        warnings=progress.get("warnings", []),
        details={name: value for name, value in facts.items() if name in _DETAILS},
    )
