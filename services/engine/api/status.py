"""HTTP for operators: the status of jobs, and the receipts of data deletions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from services.engine.domain.resources import ResourceType
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
    """A job and its progress."""

    arn: str
    type: str = Field(
        description="dataset-import-job, solution-version, model-renewal, recommender-training …"
    )
    name: str
    status: str = Field(description="CREATE PENDING, CREATE IN_PROGRESS, ACTIVE or CREATE FAILED")
    failure_reason: str | None = Field(description="why the job failed")
    step: str | None = Field(description="the current step, in words")
    share: float | None = Field(description="the completed part of the work, 0 to 1")
    warnings: list[str] = Field(description="what Personalize would have refused, and what was left out")
    details: dict[str, Any] = Field(
        description="the rows of an import, the metrics and the selected settings of a version, the lines of "
        "a batch job"
    )
    attempts: int = Field(description="how often a worker began the job")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobStatuses(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobStatus]


class ErasureOfService(BaseModel):
    """The data that one service has erased."""

    users: int = Field(description="users that the service has confirmed")
    erased_at: datetime = Field(alias="erasedAt", description="when it confirmed the last of them")
    rows: dict[str, int] = Field(description="erased rows by the table or file that they were in")


class ErasureReceipt(BaseModel):
    """A data deletion job and what each service has erased."""

    job: str
    status: str = Field(description="PENDING, IN_PROGRESS, COMPLETED or FAILED")
    requested_at: datetime
    deleted_rows: int | None = Field(description="imported and received rows, as numDeleted of the job")
    models: int | None = Field(description="models that were rewritten without the users")
    services: dict[str, ErasureOfService]
    waits_for: dict[str, int] = Field(
        description="the number of users that a service has not confirmed yet, by service"
    )


def router(database: Database, authenticator: Authenticator, settings: Settings) -> APIRouter:
    """Return the routes."""
    api = APIRouter(tags=["Status"])
    Administrator = Annotated[Principal, Depends(authenticator.require("admin"))]  # noqa: N806
    Reader = Annotated[Principal, Depends(authenticator.require("read"))]  # noqa: N806

    @api.get("/v1/status", operation_id="status", summary="Status of the newest jobs")
    async def status(
        principal: Reader,
        limit: Annotated[int, Query(ge=1, le=200, description="how many jobs to return")] = 50,
    ) -> JobStatuses:
        """Return the newest jobs of the caller's tenant (API key) or account (AWS key pair)."""
        account = await _account_of(database, principal, settings)
        rows = await list_jobs(database, account, principal.tenant, limit)
        return JobStatuses(jobs=[_status(row) for row in rows])

    @api.get(
        "/v1/erasures/{name}",
        operation_id="erasure_receipt",
        summary="Receipt of a data deletion job",
        responses={404: {"model": ErrorBody, "description": "There is no such job."}},
    )
    async def receipt(
        principal: Administrator,
        name: Annotated[str, Path(max_length=63, description="the name of the job")],
    ) -> ErasureReceipt:
        """Return what each service has erased, also while some services have not confirmed yet."""
        account = await _account_of(database, principal, settings)
        resources = Resources(database, account, principal.tenant, "")
        job = await resources.load(DataDeletionJob, f"{ResourceType.DATA_DELETION_JOB}/{name}")
        return await _receipt(database, job, name, settings.erasure_services)

    return api


async def _account_of(database: Database, principal: Principal, settings: Settings) -> str:
    """Return the account of a caller; raise ApiError if its tenant does not exist."""
    try:
        return await account_of(database, principal, settings)
    except WireError as error:
        raise ApiError(403, "UnknownTenant", error.message) from None


async def _receipt(
    database: Database, job: DataDeletionJob | None, name: str, required: Sequence[str]
) -> ErasureReceipt:
    """Return the receipt of a job that services must confirm; raise ApiError if there is no job."""
    if job is None:
        raise ApiError(404, "UnknownJob", f"There is no data deletion job {name!r}.")
    services, unconfirmed = job.facts.receipt, dict[str, int]()
    if services is None:
        services = await erasures.receipt(database, job.id)
        unconfirmed = await erasures.unconfirmed(database, job.id, required)
    return ErasureReceipt(
        job=job.name,
        status=STATUS_WORDS[job.status],
        requested_at=job.created_at,
        deleted_rows=job.facts.deleted,
        models=job.facts.models,
        services=services,
        waits_for=unconfirmed,
    )


def _status(row: dict[str, Any]) -> JobStatus:
    progress, facts = row.pop("progress"), row.pop("facts")
    return JobStatus(
        **row,
        step=progress.get("step"),
        share=progress.get("share"),
        warnings=progress.get("warnings", []),
        details={name: value for name, value in facts.items() if name in _DETAILS},
    )
