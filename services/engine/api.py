"""HTTP for people: what the workers are at."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.engine.personalize.surface import account_of
from services.engine.settings import Settings
from services.engine.store import resources
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.personalize import WireError
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
    warnings: list[str] = Field(description="what Personalize would have refused")
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


def router(database: Database, authenticator: Authenticator, settings: Settings) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["Status"])
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
        rows = await resources.jobs(database, account, principal.tenant, limit)
        return JobStatuses(jobs=[_status(row) for row in rows])

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
