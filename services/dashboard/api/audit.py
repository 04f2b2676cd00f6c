"""The audit log as JSON, for programs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from shared.auth import Authenticator, Principal

if TYPE_CHECKING:
    from services.dashboard.store.audit_log import AuditLog

LARGEST_ID = 2**63 - 1


class AuditEntry(BaseModel):
    """A change that a person made with the dashboard."""

    id: int
    at: datetime
    person: str = Field(description="the name given at sign-in, and the id of the key")
    role: Literal["viewer", "merchandiser", "admin"]
    action: str = Field(description="such as save placement")
    target: str = Field(description="the name of what was changed")
    before: Any = Field(description="its state before, null if it did not exist")
    after: Any = Field(description="its state after, null if it does not exist any more")
    outcome: Literal["begun", "done", "refused", "unknown"] = Field(
        description="`begun` if the dashboard ended in between; `unknown` if the service did not answer"
    )
    detail: str = Field(description="the reason of a refusal")


def router(authenticator: Authenticator, audit_log: AuditLog) -> APIRouter:
    """Return the route of the audit log."""
    routes = APIRouter(tags=["Audit log"])
    admin = Depends(authenticator.require("admin"))

    @routes.get("/v1/audit", operation_id="audit_log")
    async def audit(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[
            int | None,
            Query(ge=1, le=LARGEST_ID, description="the id of the oldest entry of the page before"),
        ] = None,
        principal: Principal = admin,
    ) -> list[AuditEntry]:
        """Return the changes that people made with the dashboard, newest first."""
        entries = await audit_log.entries(principal.own_tenant, limit, before)
        return [AuditEntry.model_validate(entry) for entry in entries]

    return routes
